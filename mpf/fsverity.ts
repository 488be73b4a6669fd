/** The hash tree over the ciphertext (SPEC 5): Linux fs-verity, so that `fsverity digest` is an independent verifier. */

import { createHash, timingSafeEqual } from 'node:crypto'
import { roundUp, view } from './container.ts'
import { MpfError } from './errors.ts'

const DIGEST_BYTES = 32
const SHA256_BLOCK_BYTES = 64
/** FS_VERITY_HASH_ALG_SHA256 of linux/fsverity.h. */
const ALGORITHM_SHA256 = 1
const DESCRIPTOR_BYTES = 256
export const MAX_SALT_BYTES = 32

/** What the signer signed about the tree. */
export interface TreeParameters {
  readonly blockBytes: number
  /** At most 32 bytes. */
  readonly salt: Uint8Array
  /** Bytes the tree covers. */
  readonly lengthBytes: number
}

/** SHA-256 of one block: the salt, zero-padded to the hash's input block, comes first. A short last block is zero-padded. */
export function createBlockHash(
  parameters: Omit<TreeParameters, 'lengthBytes'>,
): (block: Uint8Array) => Buffer {
  const { salt, blockBytes } = parameters
  const prefix = new Uint8Array(salt.length === 0 ? 0 : SHA256_BLOCK_BYTES)
  prefix.set(salt)
  const zeros = new Uint8Array(blockBytes)
  const salted = createHash('sha256').update(prefix)
  return block => {
    const hash = salted.copy().update(block)
    if (block.length < blockBytes) hash.update(zeros.subarray(block.length))
    return hash.digest()
  }
}

/** Hashes in each level, root level first, for `leaves` data blocks; no level at all for one block or none. */
function hashesByLevel(leaves: number, blockBytes: number): readonly number[] {
  const levels: number[] = []
  for (let hashes = leaves; hashes > 1; hashes = Math.ceil((hashes * DIGEST_BYTES) / blockBytes))
    levels.unshift(hashes)
  return levels
}

/** Length of the TRE section for this much data. */
export function treeBytes({ lengthBytes, blockBytes }: TreeParameters): number {
  return hashesByLevel(Math.ceil(lengthBytes / blockBytes), blockBytes).reduce(
    (sum, hashes) => sum + roundUp(hashes * DIGEST_BYTES, blockBytes),
    0,
  )
}

/** The fs-verity digest: SHA-256 of struct fsverity_descriptor. */
export function verityDigest(parameters: TreeParameters, rootHash: Uint8Array): Buffer {
  const descriptor = new Uint8Array(DESCRIPTOR_BYTES)
  const fields = view(descriptor)
  descriptor[0] = 1
  descriptor[1] = ALGORITHM_SHA256
  descriptor[2] = Math.log2(parameters.blockBytes)
  descriptor[3] = parameters.salt.length
  fields.setBigUint64(8, BigInt(parameters.lengthBytes), true)
  descriptor.set(rootHash, 16)
  descriptor.set(parameters.salt, 80)
  return createHash('sha256').update(descriptor).digest()
}

/** Builds TRE and the digest from the leaf hashes, in order. */
export function buildTree(
  parameters: TreeParameters,
  leafHashes: readonly Uint8Array[],
): { readonly tree: Uint8Array; readonly digest: Uint8Array } {
  const hashBlock = createBlockHash(parameters)
  const levels: Uint8Array[] = []
  let hashes = leafHashes
  while (hashes.length > 1) {
    const level = new Uint8Array(roundUp(hashes.length * DIGEST_BYTES, parameters.blockBytes))
    for (const [i, hash] of hashes.entries()) level.set(hash, i * DIGEST_BYTES)
    levels.unshift(level)
    hashes = blocksOf(level, parameters.blockBytes).map(hashBlock)
  }
  const [root = new Uint8Array(DIGEST_BYTES)] = hashes
  return { tree: Buffer.concat(levels), digest: verityDigest(parameters, root) }
}

function blocksOf(level: Uint8Array, blockBytes: number): Uint8Array[] {
  return Array.from({ length: level.length / blockBytes }, (_, i) =>
    level.subarray(i * blockBytes, (i + 1) * blockBytes),
  )
}

/** A tree whose upper levels lead to the signed digest; leaf blocks are checked against them when first used. */
export interface VerityTree {
  readonly leaves: number
  /** Checks data block `i` (0-based; the last may be short) against the signed tree. @throws MpfError MPF_SEG_HASH, MPF_TREE, MPF_IO */
  expectBlock(i: number, block: Uint8Array): void
  /** Must have resolved for `i` before expectBlock(i): loads the leaf hashes around `i`. */
  load(i: number): Promise<void>
  /** True when load(i) has nothing to do. */
  isLoaded(i: number): boolean
}

/**
 * Opens the tree in `read` (the TRE section; offsets from its start).
 * A single data block has no level: its hash is the root, and the digest is checked by the first expectBlock.
 * @throws MpfError MPF_TREE when the upper levels do not lead to `digest`, MPF_IO
 */
export async function openTree(
  parameters: TreeParameters,
  digest: Uint8Array,
  read: (offset: number, length: number) => Promise<Uint8Array>,
): Promise<VerityTree> {
  const { blockBytes } = parameters
  const hashBlock = createBlockHash(parameters)
  const leaves = Math.ceil(parameters.lengthBytes / blockBytes)
  const levels = hashesByLevel(leaves, blockBytes)
  const isRoot = (hash: Uint8Array) => timingSafeEqual(verityDigest(parameters, hash), digest)
  const hashesABlock = blockBytes / DIGEST_BYTES
  const expectNode = (
    block: Uint8Array,
    i: number,
    hashes: number,
    parents: Uint8Array | undefined,
  ): void => {
    const isGood = parents
      ? timingSafeEqual(hashBlock(block), hashAt(parents, i))
      : isRoot(hashBlock(block))
    if (!isGood)
      throw new MpfError('MPF_TREE', `tree block ${i} does not lead to the signed digest`)
    const padding = block.subarray((hashes - i * hashesABlock) * DIGEST_BYTES)
    if (padding.some(byte => byte !== 0))
      throw new MpfError('MPF_TREE', `padding of tree block ${i} is not zero`)
  }

  let offset = 0
  let parents: Uint8Array | undefined
  for (const hashes of levels.slice(0, -1)) {
    const bytes = roundUp(hashes * DIGEST_BYTES, blockBytes)
    const level = Uint8Array.from(await read(offset, bytes))
    for (const [i, block] of blocksOf(level, blockBytes).entries())
      expectNode(block, i, hashes, parents)
    parents = level
    offset += bytes
  }
  const leafLevelOffset = offset
  let loaded = -1
  let leafHashes: Uint8Array | undefined

  const load = async (i: number) => {
    const block = Math.floor(i / hashesABlock)
    if (levels.length === 0 || block === loaded) return
    const bytes = Uint8Array.from(await read(leafLevelOffset + block * blockBytes, blockBytes))
    expectNode(bytes, block, leaves, parents)
    leafHashes = bytes
    loaded = block
  }
  await load(0)

  return {
    leaves,
    load,
    isLoaded: i => levels.length === 0 || Math.floor(i / hashesABlock) === loaded,
    expectBlock(i, block) {
      const hash = hashBlock(block)
      if (levels.length === 0) {
        if (i !== 0 || !isRoot(hash))
          throw new MpfError('MPF_TREE', 'the only block differs from the signed digest')
        return
      }
      if (!leafHashes || Math.floor(i / hashesABlock) !== loaded)
        throw new MpfError('MPF_TREE', `leaf block of segment ${i} is not loaded`)
      if (!timingSafeEqual(hash, hashAt(leafHashes, i % hashesABlock)))
        throw new MpfError('MPF_SEG_HASH', `segment ${i} differs from the signed tree`, {
          segment: i,
        })
    },
  }
}

function hashAt(hashes: Uint8Array, i: number): Uint8Array {
  return hashes.subarray(i * DIGEST_BYTES, (i + 1) * DIGEST_BYTES)
}
