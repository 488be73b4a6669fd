/** What can be wrong with an MPF file: one class, one stable code per check of SPEC 7, seven classes for callers. */

/** Code to class. The order is the order in which a reader meets the checks (SPEC 7). */
const CLASS_OF = {
  MPF_IO: 'STATE', // the file could not be read
  MPF_SIZE: 'FORMAT', // smaller or larger than any MPF may be
  MPF_MAGIC: 'FORMAT', // not an MPF file
  MPF_VERSION: 'FORMAT', // a major version or flag this reader does not know
  MPF_LAYOUT: 'FORMAT', // sections overlap, leave gaps, or contradict the manifest's sizes
  MPF_TRUNCATED: 'FORMAT', // the file ends before its last section does
  MPF_TRAILING: 'FORMAT', // bytes after the last section
  MPF_CRIT: 'FORMAT', // a critical section or extension this reader does not know
  MPF_HEADER: 'TRUST', // a JOSE header that is not exactly the expected one, or not canonical
  MPF_SIGNER: 'TRUST', // signed by a key the printer does not trust
  MPF_ALG: 'TRUST', // an algorithm not pinned for this signer
  MPF_SIGNATURE: 'TRUST', // the signature does not verify
  MPF_PQ: 'TRUST', // the trust policy asks for post-quantum protection that is not there
  MPF_MANIFEST: 'FORMAT', // the signed manifest is not a valid manifest
  MPF_BINDING: 'TRUST', // public header and manifest do not belong together
  MPF_TENANT: 'TRUST', // made for another tenant
  MPF_REVOKED: 'TRUST', // manifest or signer revoked, or signer outside its validity
  MPF_ROLLBACK: 'TRUST', // an older revision than one already seen
  MPF_NO_GRANT: 'ENTITLEMENT', // no grant names this printer
  MPF_GRANT_SIG: 'ENTITLEMENT', // the grant's signer or signature is not accepted
  MPF_GRANT: 'FORMAT', // the signed grant is not a valid grant
  MPF_GRANT_BINDING: 'ENTITLEMENT', // the grant is for another file or tenant
  MPF_GRANT_SCOPE: 'ENTITLEMENT', // the grant does not include what was asked (view-only)
  MPF_GRANT_REVOKED: 'ENTITLEMENT', // the grant was revoked, or its epoch is closed
  MPF_NOT_YET: 'ENTITLEMENT', // before the grant's first moment
  MPF_EXPIRED: 'ENTITLEMENT', // after the grant's last moment
  MPF_USES: 'ENTITLEMENT', // every granted print has been used
  MPF_UNWRAP: 'KEY', // the content keys could not be unwrapped; never subdivided
  MPF_PARAMS: 'KEY', // FLOE parameters differ from the only accepted ones
  MPF_KEY_COMMIT: 'KEY', // the content key is not the one the signer committed to
  MPF_TREE: 'INTEGRITY', // the hash tree does not lead to the signed digest
  MPF_SEG_LEN: 'INTEGRITY', // a segment of impossible length
  MPF_SEG_HASH: 'INTEGRITY', // a segment differs from the signed tree
  MPF_SEG_AUTH: 'INTEGRITY', // a segment's authentication tag does not match
  MPF_NO_FINAL: 'INTEGRITY', // the final segment is missing, or one in the middle says it is final
  MPF_META: 'FORMAT', // the metadata stream is malformed
  MPF_INDEX: 'FORMAT', // the block index contradicts the manifest
  MPF_POLICY: 'CONTENT', // the signed machine envelope does not fit this printer
  MPF_DECOMPRESS: 'INTEGRITY', // a block does not decompress within its declared bounds
  MPF_BLOCK: 'INTEGRITY', // a block's text differs from the index
  MPF_GCODE: 'CONTENT', // a line outside the grammar or the allow-list
  MPF_ENVELOPE: 'CONTENT', // a line outside the machine envelope (position, temperature, feed, extrusion)
  MPF_MODAL: 'CONTENT', // the index's machine state is not the one the program leads to
  MPF_STATE: 'STATE', // the print could not be recorded durably
  MPF_CHANGED_MEDIA: 'INTEGRITY', // what passed preflight is not what is read now
} as const satisfies Record<string, MpfErrorClass>

export type MpfErrorClass =
  | 'FORMAT'
  | 'TRUST'
  | 'ENTITLEMENT'
  | 'KEY'
  | 'INTEGRITY'
  | 'CONTENT'
  | 'STATE'

export type MpfErrorCode = keyof typeof CLASS_OF

/** Every code, in the order of the checks. */
export const MPF_ERROR_CODES = Object.keys(CLASS_OF) as readonly MpfErrorCode[]

export interface MpfErrorPlace {
  readonly segment?: number
  readonly block?: number
  /** Line of the sealed text, from 1. */
  readonly line?: number
  readonly cause?: unknown
}

/** A check that failed. The message states what and numbers, never content of the part. */
export class MpfError extends Error {
  override readonly name = 'MpfError'
  readonly code: MpfErrorCode
  readonly segment: number | undefined
  readonly block: number | undefined
  readonly line: number | undefined

  constructor(code: MpfErrorCode, message: string, place: MpfErrorPlace = {}) {
    super(message, place.cause === undefined ? undefined : { cause: place.cause })
    this.code = code
    this.segment = place.segment
    this.block = place.block
    this.line = place.line
  }

  get errorClass(): MpfErrorClass {
    return CLASS_OF[this.code]
  }
}
