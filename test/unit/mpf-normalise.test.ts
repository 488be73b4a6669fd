/** What the writer does to slicer output before it signs: line ends and comments are mended, commands never. */
import { readFile } from 'node:fs/promises'
import { zstdDecompressSync } from 'node:zlib'
import fc from 'fast-check'
import { test } from 'tap'
import { MpfError, ProgramPacker, policyFor } from '#mpf'
import { isLayerComment } from '../../mpf/gcode/layers.ts'
import { createNormaliseReport, normaliseLines } from '../../mpf/gcode/normalise.ts'
import { WORD_NAMES } from '../../mpf/gcode/tables.ts'
import { inspectFile, reader, readFileText, source } from '../fakes/mpf-reader.ts'
import { sealText } from '../fakes/mpf-sealed.ts'
import { PROFILE } from '../fakes/mpf-world.ts'
import { sharedPath } from '../shared.ts'

async function normalise(chunks: readonly (string | Uint8Array)[], strip?: ReadonlySet<string>) {
  const report = createNormaliseReport()
  const bytes = chunks.map(chunk =>
    typeof chunk === 'string' ? Buffer.from(chunk, 'latin1') : chunk,
  )
  const lines: string[] = []
  for await (const line of normaliseLines(bytes, report, strip)) lines.push(line.toString('latin1'))
  return { text: lines.join(''), report }
}

test('leaves a clean program as it is', async t => {
  const text = 'G28 ; home\n\n  G1 X1\n;LAYER:0\n'
  const { text: same, report } = await normalise([text])
  t.equal(same, text)
  t.same(report, createNormaliseReport())
})

test('mends line ends and tabs, and counts them', async t => {
  const { text, report } = await normalise(['G28\r\nG1\tX1\r\n'])
  t.equal(text, 'G28\nG1 X1\n')
  t.equal(report.carriageReturns, 2)
  t.equal(report.tabs, 1)
})

test('adds the last line end and nothing else', async t => {
  t.equal((await normalise(['G28'])).text, 'G28\n')
  t.equal((await normalise([''])).text, '')
  t.equal((await normalise(['\n'])).text, '\n')
})

test('makes odd bytes of a comment printable, and of a command not', async t => {
  const { text, report } = await normalise([
    'G1 X1 ; Düse\n',
    ';\x1b[31m\n',
    'G1 X1\xb5\n',
    'G1\0 X1 ;\0\n',
  ])
  t.equal(text, 'G1 X1 ; D?se\n;?[31m\nG1 X1\xb5\nG1\0 X1 ;?\n')
  t.equal(report.commentBytes, 3)
})

test('cuts a long comment, never a command', async t => {
  const { text, report } = await normalise([
    `G1 X1 ;${'x'.repeat(300)}\n`,
    `G1 ${'X'.repeat(300)} ;c\n`,
  ])
  const [first = '', second = ''] = text.split('\n')
  t.equal(first.length, 256)
  t.equal(second.length, 306)
  t.equal(report.cutComments, 1)
})

test('empties the lines of words to be stripped and remembers which', async t => {
  const { text, report } = await normalise(
    ['M117 Hello\nG28\n  M117\nM1170\nSET_X A=1\n; M117\n'],
    new Set(['M117', 'SET_X']),
  )
  t.equal(text, '\nG28\n\nM1170\n\n; M117\n')
  t.same(
    [...report.stripped],
    [
      ['M117', [1, 3]],
      ['SET_X', [5]],
    ],
  )
})

test('does not depend on how the text is cut into chunks', async t => {
  await fc.assert(
    fc.asyncProperty(
      fc.uint8Array({ maxLength: 200 }),
      fc.array(fc.nat(200)),
      async (bytes, cuts) => {
        const ends = [...new Set([...cuts.filter(cut => cut < bytes.length), bytes.length])].sort(
          (a, b) => a - b,
        )
        const chunks = ends.map((end, i) => bytes.subarray(ends[i - 1] ?? 0, end))
        return (await normalise(chunks)).text === (await normalise([bytes])).text
      },
    ),
    { seed: 1, numRuns: 500 },
  )
  t.pass()
})

test('normalising twice is normalising once, and every line ends', async t => {
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), async bytes => {
      const { text } = await normalise([bytes])
      const again = await normalise([text])
      // A carriage return inside a command stays where it is, and is refused later; the one before LF goes.
      return (text === '' || text.endsWith('\n')) && (again.text === text || text.includes('\r\n'))
    }),
    { seed: 2, numRuns: 1000 },
  )
  t.pass()
})

test('a line longer than a block is refused before the whole of it is held', async t => {
  let taken = 0
  function* endless() {
    for (;;) {
      taken++
      yield Buffer.alloc(65536, 'x')
    }
  }
  const packer = new ProgramPacker({ level: 1 })
  await t.rejects(packer.check(endless()), { code: 'MPF_GCODE' })
  t.ok(taken < 20, `${taken} chunks taken`)
})

test('no block is longer than 1 MiB, wherever layers begin', async t => {
  const line = `;${'-'.repeat(98)}\n`
  for (const head of [
    '',
    ';LAYER:0\n',
    'G28\n;LAYER:0\n',
    ';LAYER:0\n;LAYER:1\n',
    'G28\n;LAYER:0\n;LAYER:1\n;LAYER:2\n',
  ]) {
    const text = head + line.repeat(11_500)
    const packer = new ProgramPacker({ level: 1 })
    const sizes: number[] = []
    for await (const { entry } of packer.blocks([Buffer.from(text)])) sizes.push(entry.textBytes)
    t.ok(
      sizes.every(bytes => bytes <= 1_048_576),
      `${JSON.stringify(head)}: ${sizes}`,
    )
    t.equal(
      sizes.reduce((sum, bytes) => sum + bytes, 0),
      text.length,
    )
  }
})

test('measures exactly what the program does, in the units of the manifest', async t => {
  const packer = new ProgramPacker({ level: 1 })
  await packer.check([Buffer.from('G28\nG1 X1.0005 Y2 Z0.2 F1500\nG1 X3\nM104 S205\nM140 S60\n')])
  t.same(policyFor(packer.limits(), { models: ['m'], nozzleUm: 400 }), {
    model: ['m'],
    nozzleUm: 400,
    words: ['G1', 'G28', 'M104', 'M140'],
    hotendDeciC: [2050, 0, 0, 0],
    bedDeciC: 600,
    chamberDeciC: 0,
    feedUmPerMin: 1_500_000,
    extrusionUmPerMm: 0,
    minUm: [1000, 2000, 200],
    maxUm: [3000, 2000, 200],
    line: 'G1 X1.0005 Y2 Z0.2 F1500'.length,
  })
})

test('an axis that is never commanded fits any printer, one commanded to 0 does not', async t => {
  const profile = { ...PROFILE, limitsMm: { min: [5, 5, 5], max: [250, 250, 250] } } as const
  const file = await sealText('G28\nG1 X5 Y6\nM104 S200\n')
  const by = reader({ profile })
  t.equal((await readFileText(source(file), by)).toString(), 'G28\nG1 X5 Y6\nM104 S200\n')
  const { manifest } = await inspectFile(source(file), by)
  const { minUm, maxUm } = manifest.payload.pol
  t.same(
    [minUm, maxUm],
    [
      [5000, 6000, 1],
      [5000, 6000, 0],
    ],
  )
  const zero = await sealText('G28\nG1 X5 Y6 Z0\n')
  await t.rejects(readFileText(source(zero), by), { code: 'MPF_POLICY' })
})

test('names each line a printer would refuse, and keeps going', async t => {
  const packer = new ProgramPacker({ level: 1, profile: PROFILE })
  await packer.check([Buffer.from('G28\nG1 X999 Y1 Z1\nM500\ng1 x1\nM104 S400\nM220 S100\n')])
  const found = new Set(packer.refused.map(({ code, line }) => `${line} ${code}`))
  t.same([...found].sort(), [
    '2 MPF_ENVELOPE',
    '3 MPF_GCODE',
    '4 MPF_GCODE',
    '5 MPF_ENVELOPE',
    '6 MPF_GCODE',
  ])
})

test('names a refused line once, with the word to strip it by', async t => {
  const lines = [
    'M117 x',
    'EXCLUDE_OBJECT_START NAME=a',
    'g1 x1',
    'T9',
    ' M0117 y',
    '*',
    'M862.3 P "A"',
    'G28_FAST',
  ]
  const packer = new ProgramPacker({ level: 1, profile: PROFILE })
  await packer.check([`${lines.join('\n')}\n`].map(text => Buffer.from(text)))
  t.same(
    packer.refused.map(({ line, word }) => [line, word]),
    [
      [1, 'M117'],
      [2, 'EXCLUDE_OBJECT_START'],
      [3, 'G1'],
      [4, 'T9'],
      [5, 'M117'],
      [6, undefined],
      [7, 'M862'],
      [8, 'G28_FAST'],
    ],
  )
  const strip = new Set(packer.refused.map(({ word = '' }) => word))
  const stripped = new ProgramPacker({ level: 1, profile: PROFILE, strip })
  await stripped.check([Buffer.from(`${lines.join('\n')}\n`)])
  t.same(
    stripped.refused.map(({ line }) => line),
    [6],
  )
})

test('keeps a bounded number of refused lines and counts the rest', async t => {
  const packer = new ProgramPacker({ level: 1, maxRefused: 3 })
  await packer.check([Buffer.from('M500\n'.repeat(10))])
  t.equal(packer.refused.length, 3)
  t.equal(packer.refusedLines, 10)
})

test('knows where a layer begins', async t => {
  for (const mark of [';LAYER_CHANGE', ';LAYER:0', ';LAYER:12'])
    t.ok(isLayerComment(Buffer.from(mark), 0, mark.length), mark)
  for (const other of [';LAYER', ';LAYER_COUNT:5', ';LAYERS', '; LAYER:1', ';layer:1', ';'])
    t.notOk(isLayerComment(Buffer.from(other), 0, other.length), other)
})

test('real slicer output is sealed and comes back as it was', async t => {
  for (const [name, lines] of [
    ['tag.gcode', 8300],
    ['tag-rrf.gcode', 8301],
    ['bracket.gcode.zst', 0],
  ] as const) {
    const path = sharedPath(`gcode/${name}`)
    if (!path) continue
    const raw = await readFile(path)
    const text = name.endsWith('.zst') ? zstdDecompressSync(raw) : raw
    if (lines > 0) t.equal(text.toString('latin1').split('\n').length - 1, lines)
    const packer = new ProgramPacker({ level: 1 })
    await packer.check([text])
    if (packer.refusedLines > 0) t.comment(`${name}: ${JSON.stringify(packer.refused.slice(0, 3))}`)
    // Sealing megabytes again and again is for the benchmark.
    if (packer.refusedLines > 0 || text.length > 1_000_000) continue
    const opened = await readFileText(source(await sealText(text)), reader({ profile: BIG }))
    t.equal(opened.toString('latin1'), (await normalise([text])).text, name)
  }
  t.pass()
})

const BIG = {
  ...PROFILE,
  words: WORD_NAMES,
  limitsMm: { min: [-50, -50, -50], max: [500, 500, 500] },
  maxFeedMmPerMin: 60_000,
} as const

test('what the writer refuses it refuses by code', async t => {
  try {
    await sealText(`;${'x'.repeat(10)}\n${'G'.repeat(1_100_000)}\n`)
    t.fail('sealed')
  } catch (error) {
    t.equal(error instanceof MpfError && error.code, 'MPF_GCODE')
  }
})
