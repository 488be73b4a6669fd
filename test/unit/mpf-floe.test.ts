/** FLOE against the published known answers of five implementations: our reader is the sixth, not a dialect. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'
import { MpfError } from '#mpf'
import { FLOE_HEADER_BYTES, startDecryption, startEncryption } from '../../mpf/floe.ts'
import { sharedPath } from '../shared.ts'

const KEY = Buffer.alloc(32)
const AAD = Buffer.from('This is AAD')

interface KnownAnswer {
  readonly name: string
  readonly header: Buffer
  readonly segmentBytes: number
  readonly segments: readonly Buffer[]
  readonly plaintext: Buffer
  readonly rotationBits: number
}

/** The vectors are hexadecimal; segment length and count follow from the ciphertext. */
function readKnownAnswer(directory: string, name: string): KnownAnswer {
  const hex = (suffix: string) =>
    Buffer.from(readFileSync(join(directory, `${name}_${suffix}.txt`), 'latin1').trim(), 'hex')
  const message = hex('ct')
  const segmentBytes = message.readUInt32BE(2)
  const segments: Buffer[] = []
  for (let at = FLOE_HEADER_BYTES; at < message.length; at += segmentBytes)
    segments.push(message.subarray(at, at + segmentBytes))
  return {
    name,
    header: message.subarray(0, FLOE_HEADER_BYTES),
    segmentBytes,
    segments,
    plaintext: hex('pt'),
    // The published rotation vectors change the key every four segments instead of every 2^20.
    rotationBits: name.endsWith('rotation') ? 2 : 20,
  }
}

function knownAnswers(): readonly KnownAnswer[] {
  const directory = sharedPath('vectors/floe')
  if (!directory) return []
  return readdirSync(directory)
    .filter(name => name.endsWith('_ct.txt'))
    .map(name => readKnownAnswer(directory, name.slice(0, -'_ct.txt'.length)))
}

function open(answer: KnownAnswer, segments: readonly Buffer[] = answer.segments): Buffer {
  const { header, segmentBytes, rotationBits } = answer
  using floe = startDecryption(KEY, AAD, header, segmentBytes, { rotationBits })
  return Buffer.concat(
    segments.map((segment, i) => floe.open(segment, i, i === segments.length - 1)),
  )
}

function codeOf(run: () => unknown): string {
  try {
    run()
    return 'accepted'
  } catch (error) {
    if (error instanceof MpfError) return error.code
    throw error
  }
}

test('opens every known answer', async t => {
  const answers = knownAnswers()
  if (answers.length === 0) {
    t.pass('the known answers are absent')
    return
  }
  t.equal(answers.length, 17)
  for (const answer of answers)
    t.equal(Buffer.compare(open(answer), answer.plaintext), 0, answer.name)
})

test('refuses every known answer altered, shortened, lengthened or out of order', async t => {
  for (const answer of knownAnswers()) {
    const { name, segments } = answer
    const last = segments.length - 1
    const altered = segments.map((segment, i) =>
      i === last ? Buffer.from(segment.map((byte, at) => (at === 20 ? byte ^ 1 : byte))) : segment,
    )
    t.equal(
      codeOf(() => open(answer, altered)),
      'MPF_SEG_AUTH',
      `${name} altered`,
    )
    if (last > 0)
      t.equal(
        codeOf(() => open(answer, segments.slice(0, -1))),
        'MPF_NO_FINAL',
        `${name} shortened`,
      )
    const doubled = [...segments, segments[last] ?? Buffer.alloc(0)]
    t.not(
      codeOf(() => open(answer, doubled)),
      'accepted',
      `${name} lengthened`,
    )
    if (last > 1)
      t.equal(
        codeOf(() => open(answer, [segments[1], segments[0], ...segments.slice(2)] as Buffer[])),
        'MPF_SEG_AUTH',
        `${name} out of order`,
      )
  }
})

test('refuses every bit of a header changed', async t => {
  const header = Buffer.from(startEncryption(KEY, AAD, 4096).header)
  for (let bit = 0; bit < 8 * header.length; bit++) {
    const changed = Buffer.from(header)
    changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7))
    const expected = bit < 80 ? 'MPF_PARAMS' : 'MPF_KEY_COMMIT'
    const code = codeOf(() => startDecryption(KEY, AAD, changed, 4096))
    if (code !== expected) t.equal(code, expected, `bit ${bit}`)
  }
  t.equal(
    codeOf(() => startDecryption(Buffer.alloc(32, 1), AAD, header, 4096)),
    'MPF_KEY_COMMIT',
  )
  t.equal(
    codeOf(() => startDecryption(KEY, Buffer.from('other'), header, 4096)),
    'MPF_KEY_COMMIT',
  )
  t.equal(
    codeOf(() => startDecryption(KEY, AAD, header.subarray(1), 4096)),
    'MPF_PARAMS',
  )
})

test('opens a segment of every length it can seal, at its own position only', async t => {
  using sealing = startEncryption(KEY, AAD, 64)
  using opening = startDecryption(KEY, AAD, sealing.header, 64)
  for (let length = 0; length <= 32; length++) {
    const text = Buffer.alloc(length, length)
    const segment = Buffer.from(sealing.seal(text, 5, true))
    t.same(opening.open(segment, 5, true), text)
    t.equal(
      codeOf(() => opening.open(segment, 4, true)),
      'MPF_SEG_AUTH',
    )
    t.equal(
      codeOf(() => opening.open(segment.subarray(0, -1), 5, true)),
      'MPF_SEG_LEN',
    )
  }
  t.equal(
    codeOf(() => opening.open(Buffer.alloc(31), 5, true)),
    'MPF_SEG_LEN',
  )
  t.equal(
    codeOf(() => opening.open(Buffer.alloc(65), 5, true)),
    'MPF_SEG_LEN',
  )
  t.equal(
    codeOf(() => sealing.seal(Buffer.alloc(31), 0, false)),
    'MPF_SEG_LEN',
  )
  t.equal(
    codeOf(() => sealing.seal(Buffer.alloc(33), 0, true)),
    'MPF_SEG_LEN',
  )
})

test('a short tag is never enough', async t => {
  using sealing = startEncryption(KEY, AAD, 64)
  using opening = startDecryption(KEY, AAD, sealing.header, 64)
  const segment = Buffer.from(sealing.seal(Buffer.alloc(20), 0, true))
  for (let bytes = 1; bytes <= 16; bytes++) {
    const cut = Buffer.from(segment.subarray(0, -bytes))
    cut.writeUInt32BE(cut.length, 0)
    t.match(
      codeOf(() => opening.open(cut, 0, true)),
      /^MPF_SEG_/,
    )
  }
})

test('keys that were wiped are not used again', async t => {
  const sealing = startEncryption(KEY, AAD, 64)
  sealing[Symbol.dispose]()
  t.throws(() => sealing.seal(Buffer.alloc(1), 0, true))
})
