/** The face of `mpf/`: the sealed print file, pure. Bytes in, values out. */
export { createCsr, type Pkcs12Contents, readPkcs12 } from './asn1.ts'
export { decodeBase64url, encodeBase64url } from './base64url.ts'
export { blockOfLine, type IndexEntry } from './block-index.ts'
export { type ByteSource, memorySource } from './byte-source.ts'
export { type Container, readContainer, readSection } from './container.ts'
export {
  MPF_ERROR_CODES,
  MpfError,
  type MpfErrorClass,
  type MpfErrorCode,
  type MpfErrorPlace,
} from './errors.ts'
export type { ModalState } from './gcode/modal.ts'
export { type AxisLimitsMm, DEFAULT_WORDS, type MachineProfile } from './gcode/profile.ts'
export {
  CommandReader,
  checkMachine,
  createProgramCheck,
  type ProgramCheck,
  type ProgramCommand,
} from './gcode/program.ts'
export {
  type ContentKeys,
  contentKeys,
  decodeGrants,
  expectWithinTime,
  type Grant,
  type GrantChecks,
  type GrantScope,
  selectGrant,
  signGrant,
  unwrapKeys,
} from './grant.ts'
export {
  keyId,
  SIGNATURE_ALGORITHMS,
  type SignatureAlgorithm,
  type SigningKey,
} from './jose.ts'
export {
  type Manifest,
  type ManifestChecks,
  type ManifestPayload,
  type SignedPolicy,
  verifyManifest,
} from './manifest.ts'
export type { PartGeometry, PartInfo, PartMetadata, Thumbnail } from './metadata.ts'
export {
  type Meta,
  openAtLine,
  openBody,
  openMeta,
  type VerifiedBlock,
  verifyCiphertext,
} from './open.ts'
export { type PackOptions, ProgramPacker, policyFor, type RefusedLine } from './pack.ts'
export {
  memoryStore,
  type SealedPrint,
  type SealRequest,
  type SegmentStore,
  sealPrint,
} from './seal.ts'
export { parseTrustBundle, type TrustBundle, type TrustBundleJson } from './trust.ts'
