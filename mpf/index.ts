/** The face of `mpf/`: the sealed print file, pure. Bytes in, values out. */
export {
  createCsr,
  type DerNode,
  decodeDer,
  encodeDer,
  oidBytes,
  type Pkcs12Contents,
  readPkcs12,
} from './asn1.ts'
export { decodeBase64url, encodeBase64url } from './base64url.ts'
export { blockOfLine, type IndexEntry } from './block-index.ts'
export { openBody, type VerifiedBlock } from './body.ts'
export { memoryStore, type SegmentStore } from './body-writer.ts'
export { type ByteSource, memorySource } from './byte-source.ts'
export { type Container, readContainer, readSection, replaceGrants } from './container.ts'
export {
  MPF_ERROR_CODES,
  MpfError,
  type MpfErrorClass,
  type MpfErrorCode,
  type MpfErrorPlace,
} from './errors.ts'
export { type PrintEstimate, PrintEstimator } from './gcode/estimate.ts'
export {
  type AxisNumbers,
  type Kinematics,
  MARLIN_KINEMATICS,
} from './gcode/estimate-kinematics.ts'
export type { LayerEstimate } from './gcode/estimate-layers.ts'
export {
  type Forecast,
  type ForecastLink,
  type ForecastRemedy,
  forecast,
  type LayerForecast,
  type LayerVerdict,
} from './gcode/forecast.ts'
export type { ProgramListeners } from './gcode/machine.ts'
export { MODAL_BIT, type ModalState } from './gcode/modal.ts'
export { PreviewDrawer, type PreviewOptions } from './gcode/preview.ts'
export { type AxisLimitsMm, DEFAULT_WORDS, type MachineProfile } from './gcode/profile.ts'
export {
  CommandReader,
  checkMachine,
  createProgramCheck,
  modalAfter,
  type ProgramCheck,
  type ProgramCommand,
} from './gcode/program.ts'
export {
  type ContentKeys,
  contentKeys,
  expectWithinTime,
  type Grant,
  type GrantChecks,
  type GrantScope,
  type GrantTarget,
  selectGrant,
  signGrant,
  unwrapKeys,
} from './grant.ts'
export { decodeGrants, encodeGrants } from './grant-section.ts'
export { generateHybridKey, type HybridKeyPair, hybridKeyId } from './hpke.ts'
export { type HybridKeyFile, parseHybridKeyFile } from './hybrid-key-file.ts'
export {
  keyId,
  SIGNATURE_ALGORITHMS,
  type SignatureAlgorithm,
  type SigningKey,
  signatureHeaders,
} from './jose.ts'
export {
  type KeyAgreement,
  type Recipient,
  type RecipientKeys,
  recipientId,
  recipientIds,
} from './key-wrap.ts'
export {
  type Manifest,
  type ManifestChecks,
  type ManifestPayload,
  type SignedPolicy,
  verifyManifest,
} from './manifest.ts'
export {
  type PartGeometry,
  type PartInfo,
  type PartMetadata,
  parseGivenInfo,
  type Thumbnail,
  thumbnailKind,
} from './metadata.ts'
export { type Meta, openAtLine, openMeta, verifyCiphertext } from './open.ts'
export { type PackOptions, ProgramPacker, policyFor, type RefusedLine } from './pack.ts'
export { parsePublicHeader } from './public-header.ts'
export { type SealedPrint, type SealRequest, sealPrint } from './seal.ts'
export { openSealedTree } from './streams.ts'
export { parseTrustBundle, type TrustBundle, type TrustBundleJson } from './trust.ts'
