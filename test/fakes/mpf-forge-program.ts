/** A program as the forge packs it: frames, index entries, records of the metadata stream. */

import { constants, zstdCompressSync } from 'node:zlib'
import { NO_LIMITS } from '../../mpf/gcode/limits.ts'
import { Machine } from '../../mpf/gcode/machine.ts'
import { encodeModal, type ModalState } from '../../mpf/gcode/modal.ts'
import { same, sha256 } from './mpf-bytes.ts'
import type { Entry, Forgery } from './mpf-forgery.ts'
import { programText } from './mpf-samples.ts'

/** Two blocks of layers that take several small segments each, and a short last one. */
export const BLOCKS: readonly string[] = [
  programText(700, 1),
  programText(1200, 2).split('\n').slice(5).join('\n'),
  'G1 X20 Y20 F3000\nM104 S0\n',
]

export function packBody(forgery: Forgery) {
  const machine = new Machine(NO_LIMITS, () => undefined, { isWidening: true })
  const frames: Uint8Array[] = []
  const entries: Entry[] = []
  let [bodyOffset, line, layer] = [0, 1, 0]
  for (const [i, text] of (forgery.blocks ?? BLOCKS).entries()) {
    const bytes = Buffer.from(text, 'latin1')
    const modal: ModalState = machine.modal()
    machine.run(bytes)
    const made = zstdFrame(bytes)
    const frame = forgery.frame?.(made, i, bytes) ?? made
    frames.push(frame)
    entries.push({
      bodyOffset,
      compressedBytes: frame.length,
      textBytes: bytes.length,
      firstLine: line,
      layer,
      zMicrometres: Math.round(modal.zNm / 1000),
      digest: sha256(bytes).subarray(0, 16),
      modal: encodeModal(modal),
    })
    bodyOffset += frame.length
    line += text.split('\n').length - 1
    layer += text.match(/^;LAYER(?:_CHANGE|:)/gm)?.length ?? 0
  }
  const [textBytes, blocks] = [
    entries.reduce((sum, entry) => sum + entry.textBytes, 0),
    entries.length,
  ]
  const index = encodeEntries(forgery.entries?.(entries) ?? entries)
  const correct: [number, Uint8Array][] = [
    [1, Buffer.from(forgery.info ?? JSON.stringify({ title: 'forged', layers: 0 }))],
    [4, (forgery.index ?? same)(index)],
  ]
  const meta = Buffer.concat(
    (forgery.records?.(correct) ?? correct).map(([tag, bytes]) => record(tag, bytes)),
  )
  return { plaintext: Buffer.concat(frames), meta, textBytes, lines: line - 1, blocks }
}

/** One record of the meta stream. */
export function record(tag: number, bytes: Uint8Array, length = bytes.length): Buffer {
  const head = Buffer.alloc(6)
  head.writeUInt16BE(tag, 0)
  head.writeUInt32BE(length, 2)
  return Buffer.concat([head, bytes])
}

function encodeEntries(entries: readonly Entry[]): Buffer {
  return Buffer.concat(
    entries.map(entry => {
      const bytes = Buffer.alloc(104)
      bytes.writeBigUInt64BE(BigInt(entry.bodyOffset), 0)
      bytes.writeUInt32BE(entry.compressedBytes, 8)
      bytes.writeUInt32BE(entry.textBytes, 12)
      bytes.writeBigUInt64BE(BigInt(entry.firstLine), 16)
      bytes.writeUInt32BE(entry.layer, 24)
      bytes.writeInt32BE(entry.zMicrometres, 28)
      bytes.set(entry.digest, 32)
      bytes.set(entry.modal, 48)
      return bytes
    }),
  )
}

export function zstdFrame(text: Uint8Array, params: Readonly<Record<number, number>> = {}): Buffer {
  return zstdCompressSync(text, {
    pledgedSrcSize: text.length,
    params: {
      [constants.ZSTD_c_compressionLevel]: 1,
      [constants.ZSTD_c_windowLog]: 20,
      ...params,
    },
  })
}

/** A frame of raw blocks written by hand: `descriptor` and everything after it as given. */
export function rawFrame(header: readonly number[], text: Uint8Array): Buffer {
  const block = Buffer.alloc(3)
  block.writeUIntLE((text.length << 3) | 1, 0, 3)
  return Buffer.concat([Buffer.from([0x28, 0xb5, 0x2f, 0xfd, ...header]), block, text])
}
