/** Merkle tree of a log (RFC 9162 section 2): appended leaf by leaf, proven from both ends. Pure. */

import { createHash } from 'node:crypto'

/** MTH of a single entry: SHA-256(0x00 || entry). */
export function leafHash(entry: Uint8Array): Uint8Array {
  return createHash('sha256').update(Uint8Array.of(0)).update(entry).digest()
}

/** SHA-256(0x01 || left || right). */
export function nodeHash(left: Uint8Array, right: Uint8Array): Uint8Array {
  return createHash('sha256').update(Uint8Array.of(1)).update(left).update(right).digest()
}

/** The root of no entries: SHA-256 of nothing. */
export const EMPTY_ROOT: Uint8Array = createHash('sha256').digest()

/** A tree of which only the right edge is kept: enough to append and to tell the root. */
export class CompactTree {
  /** Roots of the perfect subtrees, largest first; the bits of the size say how large each is. */
  #edge: Uint8Array[] = []
  #size = 0

  get size(): number {
    return this.#size
  }

  append(leaf: Uint8Array): void {
    let hash = leaf
    for (let size = this.#size; size % 2 === 1; size = Math.floor(size / 2))
      hash = nodeHash(this.#edge.pop() ?? EMPTY_ROOT, hash)
    this.#edge.push(hash)
    this.#size += 1
  }

  root(): Uint8Array {
    const [last, ...rest] = this.#edge.toReversed()
    if (last === undefined) return EMPTY_ROOT
    return rest.reduce((right, left) => nodeHash(left, right), last)
  }

  /** The edge as bytes, to be kept and handed to `restore`. */
  state(): Uint8Array {
    return Buffer.concat(this.#edge)
  }

  /** A tree of `size` leaves from what `state` gave. */
  static restore(size: number, state: Uint8Array): CompactTree {
    const tree = new CompactTree()
    tree.#size = size
    for (let at = 0; at < state.length; at += 32) tree.#edge.push(state.slice(at, at + 32))
    return tree
  }
}

/** Root of these leaf hashes. */
export function rootOf(leaves: readonly Uint8Array[]): Uint8Array {
  const tree = new CompactTree()
  for (const leaf of leaves) tree.append(leaf)
  return tree.root()
}

/** PATH(index, leaves) of RFC 9162 2.1.3.1. */
export function inclusionProof(
  leaves: readonly Uint8Array[],
  index: number,
): readonly Uint8Array[] {
  if (leaves.length <= 1) return []
  const k = splitOf(leaves.length)
  if (index < k) return [...inclusionProof(leaves.slice(0, k), index), rootOf(leaves.slice(k))]
  return [...inclusionProof(leaves.slice(k), index - k), rootOf(leaves.slice(0, k))]
}

/** RFC 9162 2.1.3.2: whether `leaf` is entry `index` of the tree of `size` leaves with this root. */
export function isIncluded(
  leaf: Uint8Array,
  position: { readonly index: number; readonly size: number },
  proof: readonly Uint8Array[],
  root: Uint8Array,
): boolean {
  let { index: fn } = position
  let sn = position.size - 1
  if (fn > sn || fn < 0) return false
  let hash = leaf
  for (const node of proof) {
    if (sn === 0) return false
    if (fn % 2 === 1 || fn === sn) {
      hash = nodeHash(node, hash)
      while (fn % 2 === 0 && fn !== 0) {
        fn = Math.floor(fn / 2)
        sn = Math.floor(sn / 2)
      }
    } else hash = nodeHash(hash, node)
    fn = Math.floor(fn / 2)
    sn = Math.floor(sn / 2)
  }
  return sn === 0 && Buffer.from(hash).equals(root)
}

/** PROOF(first, leaves) of RFC 9162 2.1.4.1: that the first `first` leaves are a prefix of all of them. */
export function consistencyProof(
  leaves: readonly Uint8Array[],
  first: number,
): readonly Uint8Array[] {
  return subproof(leaves, first, true)
}

function subproof(
  leaves: readonly Uint8Array[],
  first: number,
  isWhole: boolean,
): readonly Uint8Array[] {
  if (first === leaves.length) return isWhole ? [] : [rootOf(leaves)]
  const k = splitOf(leaves.length)
  if (first <= k) return [...subproof(leaves.slice(0, k), first, isWhole), rootOf(leaves.slice(k))]
  return [...subproof(leaves.slice(k), first - k, false), rootOf(leaves.slice(0, k))]
}

/** The largest power of two below `size`. */
function splitOf(size: number): number {
  let k = 1
  while (k * 2 < size) k *= 2
  return k
}

/** RFC 9162 2.1.4.2: whether the tree of `second` leaves is that of `first` leaves with more at its end. */
export function isConsistent(
  sizes: { readonly first: number; readonly second: number },
  proof: readonly Uint8Array[],
  firstRoot: Uint8Array,
  secondRoot: Uint8Array,
): boolean {
  const { first, second } = sizes
  if (first < 1 || first > second) return false
  if (first === second) return proof.length === 0 && Buffer.from(firstRoot).equals(secondRoot)
  const isPower = Number.isInteger(Math.log2(first))
  const path = isPower ? [firstRoot, ...proof] : proof
  const roots = proof.length === 0 ? undefined : rootsAlong(path, first - 1, second - 1)
  return (
    roots !== undefined &&
    Buffer.from(roots.first).equals(firstRoot) &&
    Buffer.from(roots.second).equals(secondRoot)
  )
}

/** Both roots as the nodes of a consistency proof give them; undefined when it has too few or too many. */
function rootsAlong(
  [start = EMPTY_ROOT, ...rest]: readonly Uint8Array[],
  fn: number,
  sn: number,
): { readonly first: Uint8Array; readonly second: Uint8Array } | undefined {
  let level = 0
  const at = (number: number) => Math.floor(number / 2 ** level)
  while (at(fn) % 2 === 1) level += 1
  let [first, second] = [start, start]
  for (const node of rest) {
    if (at(sn) === 0) return undefined
    if (at(fn) % 2 === 1 || at(fn) === at(sn)) {
      first = nodeHash(node, first)
      second = nodeHash(node, second)
      while (at(fn) % 2 === 0 && at(fn) !== 0) level += 1
    } else second = nodeHash(second, node)
    level += 1
  }
  return at(sn) === 0 ? { first, second } : undefined
}
