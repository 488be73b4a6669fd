/** What one adversarial case is, and the small edits that cases are made of. */
import type { MpfErrorCode } from '#mpf'
import { b64, sha256 } from '../mpf-bytes.ts'
import { forge } from '../mpf-forge.ts'
import type { Entry, Forgery, Json, SectionPlan } from '../mpf-forgery.ts'
import type { EntryPoint, Reader } from '../mpf-reader.ts'
import { trustBundle } from '../mpf-world.ts'

export interface Case {
  /** Error code, slash, what is wrong. */
  readonly name: `${MpfErrorCode}/${string}`
  readonly code: MpfErrorCode
  readonly file: () => Buffer
  readonly reader: Partial<Reader>
  /** The ways in that do not meet the flaw, and must therefore succeed. */
  readonly passes: readonly EntryPoint[]
}

interface CaseOptions {
  readonly reader?: Partial<Reader>
  readonly passes?: readonly EntryPoint[]
}

export const NEEDS_KEYS: readonly EntryPoint[] = ['inspect', 'keyless']
/** Where the flaw of a code is first met; a code absent here is met by every way in. */
const PASSES: Partial<Record<MpfErrorCode, readonly EntryPoint[]>> = {
  MPF_NO_GRANT: NEEDS_KEYS,
  MPF_GRANT: NEEDS_KEYS,
  MPF_GRANT_SIG: NEEDS_KEYS,
  MPF_GRANT_BINDING: NEEDS_KEYS,
  MPF_GRANT_SCOPE: NEEDS_KEYS,
  MPF_GRANT_REVOKED: NEEDS_KEYS,
  MPF_NOT_YET: NEEDS_KEYS,
  MPF_EXPIRED: NEEDS_KEYS,
  MPF_USES: NEEDS_KEYS,
  MPF_UNWRAP: NEEDS_KEYS,
  MPF_PARAMS: NEEDS_KEYS,
  MPF_KEY_COMMIT: NEEDS_KEYS,
  MPF_TREE: ['inspect'],
  MPF_SEG_HASH: ['inspect'],
  MPF_SEG_LEN: NEEDS_KEYS,
  MPF_SEG_AUTH: NEEDS_KEYS,
  MPF_NO_FINAL: NEEDS_KEYS,
  MPF_META: NEEDS_KEYS,
  MPF_INDEX: NEEDS_KEYS,
  MPF_POLICY: NEEDS_KEYS,
  MPF_DECOMPRESS: NEEDS_KEYS,
  MPF_BLOCK: NEEDS_KEYS,
  MPF_GCODE: ['seek', ...NEEDS_KEYS],
  MPF_ENVELOPE: ['seek', ...NEEDS_KEYS],
  MPF_MODAL: ['seek', ...NEEDS_KEYS],
}

export function fault(name: Case['name'], forgery: Forgery, options: CaseOptions = {}): Case {
  const code = name.slice(0, name.indexOf('/')) as MpfErrorCode
  return {
    name,
    code,
    file: () => forge(forgery),
    reader: options.reader ?? {},
    passes: options.passes ?? PASSES[code] ?? [],
  }
}

/** Sets `value` at a dotted path, or removes the member when it is undefined. */
export function put(path: string, value: unknown): (payload: Json) => void {
  return payload => {
    const names = path.split('.')
    const last = names.pop() ?? ''
    const place = names.reduce((at, name) => at[name] as Json, payload)
    if (value === undefined) delete place[last]
    else place[last] = value
  }
}

/** Adds `delta` to the number at a dotted path. */
export function add(path: string, delta: number): (payload: Json) => void {
  return payload => {
    const value = path.split('.').reduce((at: unknown, name) => (at as Json)[name], payload)
    put(path, Number(value) + delta)(payload)
  }
}

/** Replaces the first `from`; a test whose text does not hold it would test nothing. */
export function swap(from: string, to: string): (text: string) => string {
  return text => {
    if (!text.includes(from)) throw new Error(`nothing to replace: ${from}`)
    return text.replace(from, () => to)
  }
}

/** Edits one byte. */
function poke(at: number, change: (byte: number) => number): (bytes: Buffer) => Buffer {
  return bytes => {
    const place = at < 0 ? bytes.length + at : at
    bytes[place] = change(bytes[place] ?? 0)
    return bytes
  }
}

export const flip = (at: number) => poke(at, byte => byte ^ 1)
export const set = (at: number, value: number) => poke(at, () => value)

/** Offsets in the section table: entry `i`, its field. */
export const entryAt = (i: number, field: 'type' | 'zero' | 'zeros' | 'offset' | 'length') =>
  24 + 24 * i + { type: 0, zero: 2, zeros: 4, offset: 8, length: 16 }[field]

export function addU64(at: number, delta: number): (bytes: Buffer) => Buffer {
  return bytes => {
    bytes.writeBigUInt64BE(bytes.readBigUInt64BE(at) + BigInt(delta), at)
    return bytes
  }
}

export const setU64 = (at: number, value: bigint) => (bytes: Buffer) => {
  bytes.writeBigUInt64BE(value, at)
  return bytes
}

export function offsetOf(file: Buffer, section: number): number {
  return Number(file.readBigUInt64BE(entryAt(section, 'offset')))
}

export const cutInside = (section: number, bytes: number) => (file: Buffer) =>
  file.subarray(0, offsetOf(file, section) + bytes)

export const extra = (type: number, bytes: Uint8Array): SectionPlan => ({ type, bytes, align: 1 })

export function insertAt(i: number, section: SectionPlan) {
  return (sections: SectionPlan[]) => sections.toSpliced(i, 0, section)
}

export function revoking(file: Buffer) {
  return trustBundle({ revoked: { manifests: [b64(sha256(payloadOf(file)))], grants: [] } })
}

/** What the publisher signed in a file. */
export function payloadOf(file: Buffer): Buffer {
  const at = offsetOf(file, 1)
  const man = file.toString('latin1', at, at + Number(file.readBigUInt64BE(entryAt(1, 'length'))))
  return Buffer.from(man.split('.')[1] ?? '', 'base64url')
}

/** Changes entry `i` of the index. */
export function entry(i: number, change: (entry: Entry) => void) {
  return (entries: Entry[]) => {
    const at = entries.at(i)
    if (at) change(at)
    return entries
  }
}

/** Changes the machine state of entry `i`. */
export function modal(i: number, change: (bytes: Buffer) => Buffer) {
  return entry(i, at => {
    at.modal = change(Buffer.from(at.modal))
  })
}
