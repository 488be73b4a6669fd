/** Every place where a forged print file can be wrong. */
import type { KeyName } from './mpf-world.ts'

/** A JSON object a test may spoil. */
export type Json = Record<string, unknown>

export interface Entry {
  bodyOffset: number
  compressedBytes: number
  textBytes: number
  firstLine: number
  layer: number
  zMicrometres: number
  digest: Uint8Array
  modal: Uint8Array
}

export interface SectionPlan {
  type: number
  bytes: Uint8Array
  /** Start at the next multiple of so many bytes. */
  align: number
}

/** What an insider holds: the keys and the means to make a segment that opens. */
export interface Insider {
  readonly segmentBytes: number
  readonly bodyKey: Uint8Array
  readonly metaKey: Uint8Array
  /** Byte offset of body segment 0 in ENC. */
  readonly bodyAt: number
  seal(plaintext: Uint8Array, position: number, isFinal: boolean, stream?: 'meta' | 'body'): Buffer
}

/** Where the forge goes wrong. Each hook gets the correct value and returns what is written instead. */
export interface Forgery {
  readonly blocks?: readonly string[]
  readonly segmentBytes?: 4096 | 65536
  readonly frame?: (frame: Buffer, block: number, text: Buffer) => Uint8Array
  readonly entries?: (entries: Entry[]) => readonly Entry[]
  readonly index?: (bytes: Buffer) => Uint8Array
  readonly info?: string
  readonly records?: (records: [number, Uint8Array][]) => readonly [number, Uint8Array][]
  readonly meta?: (bytes: Buffer) => Uint8Array
  readonly streamHeader?: (header: Buffer, stream: 'meta' | 'body') => Buffer
  readonly context?: (context: Buffer, stream: 'meta' | 'body') => Buffer
  readonly metaSegments?: (segments: Buffer[], insider: Insider) => readonly Uint8Array[]
  readonly metaPadding?: (padding: Buffer) => Uint8Array
  /** Before the tree: what a broken publisher signs. */
  readonly bodySegments?: (segments: Buffer[], insider: Insider) => readonly Uint8Array[]
  /** Each level of the tree before it is hashed: what a broken publisher signs. */
  readonly level?: (level: Buffer) => Buffer
  /** After the tree: what an insider writes on the stick. */
  readonly ciphertext?: (enc: Buffer, insider: Insider) => Uint8Array
  readonly tree?: (tree: Buffer) => Uint8Array
  readonly pub?: (pub: Json) => void
  readonly pubText?: (text: string) => string | Uint8Array
  /** After the manifest was made over it. */
  readonly pubAfter?: (bytes: Buffer) => Uint8Array
  readonly manifest?: (payload: Json) => void
  readonly manifestText?: (text: string) => string | Uint8Array
  readonly manifestHeader?: (header: string) => string
  readonly manifestJws?: (jws: string) => string
  readonly publisher?: KeyName
  readonly grant?: (payload: Json) => void
  readonly grantText?: (text: string) => string | Uint8Array
  readonly grantHeader?: (header: string) => string
  readonly grantJws?: (jws: string) => string
  readonly issuer?: KeyName
  readonly jweHeader?: (header: Json) => void
  readonly jweHeaderText?: (text: string) => string
  readonly jwe?: (jwe: string) => string
  readonly wrapped?: (keys: Buffer) => Uint8Array
  readonly jweRecipient?: KeyName
  readonly grants?: (section: Buffer) => Uint8Array
  readonly sections?: (sections: SectionPlan[]) => readonly SectionPlan[]
  /** The finished prelude and section table. */
  readonly prelude?: (prelude: Buffer) => Uint8Array
  readonly file?: (file: Buffer) => Uint8Array
}
