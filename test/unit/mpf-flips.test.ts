/** Every byte of a file is signed, hashed, self-signed or a required zero: so no byte may change unnoticed, and no cut may open. */
import { test } from 'tap'
import { keyId } from '#mpf'
import { forge } from '../fakes/mpf-forge.ts'
import { grantEntry } from '../fakes/mpf-forge-signed.ts'
import { PRINTER_ID, publicKey } from '../fakes/mpf-world.ts'
import { createJudge } from '../fuzz/mpf-mutate.ts'

const BLOCKS = ['G28\nG1 X10 Y10 Z1 F3000\nM104 S200\n', 'G1 X20 Y20 E1\n']
const OTHER_ID = keyId(publicKey('otherPrinter'))
/** The minor version: minors only add sections a reader may pass over, so any value is accepted (SPEC 3.1). */
const MINOR_AT = 9

/** A small file with a grant for this printer and one for another. */
function twoGrants(): Buffer {
  return forge({
    blocks: BLOCKS,
    grants: section => Buffer.concat([section, grantEntry(OTHER_ID, section.subarray(34))]),
  })
}

const sectionAt = (file: Buffer, i: number) => {
  const [from, length] = [32, 40].map(at => Number(file.readBigUInt64BE(at + 24 * i)))
  return { from: from ?? 0, to: (from ?? 0) + (length ?? 0) }
}

/** Which offsets the change of may go unnoticed. */
function unprotected(file: Buffer): (offset: number) => boolean {
  const grants = sectionAt(file, 2)
  const entryBytes = 34 + file.readUInt16BE(grants.from + 32)
  const others = grants.from + entryBytes
  return offset => offset === MINOR_AT || (offset >= others && offset < grants.to)
}

/** Offsets to change: all, but of long runs of zeros and of the other printer's grant only some. */
function offsetsOf(file: Buffer): readonly number[] {
  const isUnprotected = unprotected(file)
  const isRun = (at: number) => file.subarray(at - 8, at + 9).every(byte => byte === 0)
  const strideAt = (at: number) => (isUnprotected(at) ? 7 : isRun(at) ? 13 : 1)
  return Array.from(file.keys()).filter(at => at < 144 || at % strideAt(at) === 0)
}

test('every bit of prelude and section table, and one bit of every other byte', async t => {
  const file = twoGrants()
  const isUnprotected = unprotected(file)
  const judge = createJudge()
  const refusals = new Set<string>()
  const opened: number[] = []
  for (const offset of offsetsOf(file))
    for (const bit of offset < 144 ? [0, 1, 2, 3, 4, 5, 6, 7] : [offset % 8]) {
      const bytes = Buffer.from(file)
      bytes[offset] = (bytes[offset] ?? 0) ^ (1 << bit)
      const outcome = await judge({ mutation: `bit ${bit} of ${offset}`, bytes, blocks: BLOCKS })
      if (outcome === 'opens') opened.push(offset)
      else refusals.add(outcome)
    }
  t.same(
    opened.filter(offset => !isUnprotected(offset)),
    [],
    'offsets that opened',
  )
  t.ok(opened.length > 100, 'what protects another printer’s grant is its own signature')
  const codes = ['MAGIC', 'VERSION', 'LAYOUT', 'TRUNCATED', 'CRIT', 'BINDING', 'SIGNATURE']
  for (const code of [...codes, 'GRANT_SIG', 'TREE', 'SEG_HASH'])
    t.ok(refusals.has(`MPF_${code}`), code)
})

test('no shorter file opens, whatever it ends with', async t => {
  const file = twoGrants()
  const judge = createJudge()
  const ends = [0, 1, 2, 3, 4].flatMap(i => Object.values(sectionAt(file, i)))
  const near = ends.flatMap(end => [-2, -1, 0, 1, 2].map(delta => end + delta))
  const sampled = Array.from({ length: 100 }, (_, i) => Math.floor((i * file.length) / 100))
  for (const length of [...near, ...sampled].filter(each => each >= 0 && each < file.length)) {
    const bytes = file.subarray(0, length)
    const outcome = await judge({ mutation: `cut to ${length}`, bytes, blocks: BLOCKS })
    t.match(outcome, /^MPF_(SIZE|TRUNCATED)$/, `${length} bytes`)
  }
})

test('no longer file opens', async t => {
  const file = twoGrants()
  const judge = createJudge()
  for (const more of [1, 2, 31, 32, 4095, 4096, 65536])
    for (const fill of [0, 0xff]) {
      const bytes = Buffer.concat([file, Buffer.alloc(more, fill)])
      const outcome = await judge({ mutation: `${more} more`, bytes, blocks: BLOCKS })
      t.equal(outcome, 'MPF_TRAILING')
    }
})

test('a grant for this printer relabelled for another, and the reverse, opens nothing', async t => {
  const judge = createJudge()
  const relabelled = forge({
    blocks: BLOCKS,
    grants: section => grantEntry(OTHER_ID, section.subarray(34)),
  })
  t.equal(
    await judge({ mutation: 'relabelled', bytes: relabelled, blocks: BLOCKS }),
    'MPF_NO_GRANT',
  )
  const taken = forge({
    blocks: BLOCKS,
    grant: payload => {
      payload.sub = OTHER_ID
    },
    grants: section => grantEntry(PRINTER_ID, section.subarray(34)),
  })
  t.equal(await judge({ mutation: 'taken', bytes: taken, blocks: BLOCKS }), 'MPF_NO_GRANT')
})
