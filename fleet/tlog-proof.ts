/** Proofs that hold without this store: C2SP tlog-proof for one entry, and a consistency proof as C2SP tlog-witness sends it. Pure. */

import type { KeyObject } from 'node:crypto'
import { type Checkpoint, cosignedAtS, openCheckpoint } from '#lib/checkpoint.ts'
import {
  consistencyProof,
  inclusionProof,
  isConsistent,
  isIncluded,
  leafHash,
} from '#lib/merkle.ts'
import { FleetError } from './errors.ts'

const FIRST_LINE = 'c2sp.org/tlog-proof@v1'
/** RFC 9162: a path is never longer than the tree is high. */
const MAX_PATH = 63

/** Whom a verifier believes. */
export interface ProofPolicy {
  readonly log: { readonly name: string; readonly key: KeyObject }
  readonly witness: { readonly name: string; readonly key: KeyObject }
}

/** A tlog-proof of entry `index` (from zero) of `entries`, which are all of the note's tree. */
export function makeInclusion(entries: readonly string[], index: number, note: string): string {
  const path = inclusionProof(entries.map(leafOf), index)
  return `${FIRST_LINE}\nindex ${index}\n${linesOf(path)}\n${note}`
}

/** Proof that the tree of the first `size` entries is a prefix of the note's tree. */
export function makeConsistency(entries: readonly string[], size: number, note: string): string {
  return `old ${size}\n${linesOf(consistencyProof(entries.map(leafOf), size))}\n${note}`
}

export interface Proven {
  readonly checkpoint: Checkpoint
  /** When the witness cosigned, seconds since 1970. */
  readonly cosignedAtS: number
}

/** @throws FleetError FLEET_PROOF when the entry is not where the proof says, or the head is not signed by both */
export function verifyInclusion(
  text: string,
  entry: string,
  policy: ProofPolicy,
): Proven & { readonly index: number } {
  const { head, path, note } = partsOf(text)
  const [first, indexLine, ...more] = head.at(1)?.startsWith('extra ')
    ? [head[0], ...head.slice(2)]
    : head
  const [, digits] = /^index (0|[1-9]\d{0,15})$/.exec(indexLine ?? '') ?? []
  if (first !== FIRST_LINE || digits === undefined || more.length > 0)
    throw refused('not a tlog-proof')
  const proven = verifyHead(note, policy)
  const position = { index: Number(digits), size: proven.checkpoint.size }
  if (!isIncluded(leafOf(entry), position, path, proven.checkpoint.root))
    throw refused(`the entry is not number ${position.index} of the tree`)
  return { ...proven, index: position.index }
}

/** @throws FleetError FLEET_PROOF when the new tree is not the old one with more at its end */
export function verifyConsistency(text: string, oldNote: string, policy: ProofPolicy): Proven {
  const { head, path, note } = partsOf(text)
  const [, digits] = /^old (0|[1-9]\d{0,15})$/.exec(head.join('\n')) ?? []
  if (digits === undefined) throw refused('not a consistency proof')
  const proven = verifyHead(note, policy)
  const old = verifyHead(oldNote, policy).checkpoint
  if (old.size !== Number(digits)) throw refused('for another old size')
  const { size, root } = proven.checkpoint
  if (!isConsistent({ first: old.size, second: size }, path, old.root, root))
    throw refused(`the tree of ${size} is not that of ${old.size} with more at its end`)
  return proven
}

/** A head signed by the log and cosigned by the witness. @throws FleetError FLEET_PROOF */
export function verifyHead(note: string, policy: ProofPolicy): Proven {
  const checkpoint = openCheckpoint(note, policy.log)
  if (checkpoint?.origin !== policy.log.name) throw refused('the head is not signed by this log')
  const atS = cosignedAtS(note, policy.witness)
  if (atS === undefined) throw refused('the head is not cosigned by the witness')
  return { checkpoint, cosignedAtS: atS }
}

/** Lines before the hashes, the hashes, and the note after the empty line. */
function partsOf(text: string): {
  readonly head: readonly string[]
  readonly path: readonly Uint8Array[]
  readonly note: string
} {
  const end = text.indexOf('\n\n')
  const lines = text.slice(0, Math.max(0, end)).split('\n')
  const isHash = (line: string) => /^[A-Za-z0-9+/]{43}=$/.test(line)
  const hashes = lines.filter(isHash)
  const head = lines.slice(0, lines.length - hashes.length)
  if (end < 0 || hashes.length > MAX_PATH || head.some(isHash)) throw refused('not a proof')
  return { head, path: hashes.map(line => Buffer.from(line, 'base64')), note: text.slice(end + 2) }
}

function leafOf(entry: string): Uint8Array {
  return leafHash(Buffer.from(entry))
}

function linesOf(path: readonly Uint8Array[]): string {
  return path.map(hash => `${Buffer.from(hash).toString('base64')}\n`).join('')
}

function refused(message: string): FleetError {
  return new FleetError('FLEET_PROOF', message)
}
