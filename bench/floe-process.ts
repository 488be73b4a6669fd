/** FLOE over a file as a process of its own, to be measured like age and gpg: seal, open with leaf hashes, open without. */

import {
  closeSync,
  fstatSync,
  openSync,
  readFileSync,
  readSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import {
  FLOE_HEADER_BYTES,
  SEGMENT_OVERHEAD_BYTES,
  startDecryption,
  startEncryption,
} from '../mpf/floe.ts'
import { buildTree, createBlockHash } from '../mpf/fsverity.ts'
import { SEGMENT_BYTES } from '../mpf/limits.ts'

const KEY = new Uint8Array(32)
const CONTEXT = Buffer.from('bench')
/** As much as `SealedStream` reads at once for a block of usual size. */
const READ_SEGMENTS = 4
const PARAMETERS = { blockBytes: SEGMENT_BYTES, salt: new Uint8Array(32) }

const [mode, plain = '', sealed = ''] = process.argv.slice(2)
if (mode === 'seal') seal()
else open(mode === 'open')

function seal(): void {
  const text = readFileSync(plain)
  const floe = startEncryption(KEY, CONTEXT, SEGMENT_BYTES)
  const out = openSync(sealed, 'w')
  writeSync(out, floe.header)
  const room = SEGMENT_BYTES - SEGMENT_OVERHEAD_BYTES
  const segments = Math.ceil(text.length / room)
  const hash = createBlockHash(PARAMETERS)
  const leaves: Buffer[] = []
  for (let i = 0; i < segments; i++) {
    const segment = floe.seal(text.subarray(i * room, (i + 1) * room), i, i === segments - 1)
    leaves.push(hash(segment))
    writeSync(out, segment)
  }
  closeSync(out)
  const { tree } = buildTree(
    { ...PARAMETERS, lengthBytes: text.length + segments * SEGMENT_OVERHEAD_BYTES },
    leaves,
  )
  writeFileSync(`${sealed}.tree`, tree)
}

function open(hasLeaves: boolean): void {
  const input = openSync(sealed, 'r')
  const header = Buffer.alloc(FLOE_HEADER_BYTES)
  readSync(input, header)
  const floe = startDecryption(KEY, CONTEXT, header, SEGMENT_BYTES)
  const hash = createBlockHash(PARAMETERS)
  // The leaf level is the last of the stored levels.
  const tree = readFileSync(`${sealed}.tree`)
  const bytes = fstatSync(input).size - FLOE_HEADER_BYTES
  const segments = Math.ceil(bytes / SEGMENT_BYTES)
  const leaves = tree.subarray(
    tree.length - Math.ceil((segments * 32) / SEGMENT_BYTES) * SEGMENT_BYTES,
  )
  const batch = Buffer.alloc(READ_SEGMENTS * SEGMENT_BYTES)
  for (let i = 0; i < segments; ) {
    const length = readSync(input, batch)
    if (length === 0) throw new Error(`the file ends before segment ${i}`)
    for (let at = 0; at < length; at += SEGMENT_BYTES, i++) {
      const block = batch.subarray(at, Math.min(length, at + SEGMENT_BYTES))
      if (hasLeaves && !hash(block).equals(leaves.subarray(32 * i, 32 * i + 32)))
        throw new Error(`segment ${i}`)
      floe.open(block, i, i === segments - 1).fill(0)
    }
  }
}
