/** Output of real slicers (test/samples/slicers): nothing legitimate is refused, and what is printed is what was sliced. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { zstdDecompressSync } from 'node:zlib'
import { test } from 'tap'
import { ProgramPacker } from '#mpf'
import { WORD_NAMES } from '../../mpf/gcode/tables.ts'
import { reader, readFileText, source } from '../fakes/mpf-reader.ts'
import { sealText } from '../fakes/mpf-sealed.ts'
import { PROFILE } from '../fakes/mpf-world.ts'

const SAMPLES = join(import.meta.dirname, '../samples/slicers')

async function sample(name: string): Promise<Buffer> {
  if (!name.endsWith('.zst')) return readFile(join(SAMPLES, name))
  return zstdDecompressSync(await readFile(join(SAMPLES, name)))
}

const EVERY_WORD = { ...PROFILE, words: WORD_NAMES, maxFeedMmPerMin: 30_000 }

/** Name, layers, the slicer's own seconds, layer height in micrometres, filament in micrometres by tool. */
const SLICED: readonly (readonly [string, number, number | undefined, number, number[]])[] = [
  ['prusaslicer-marlin2', 6, 75, 200, [42_060]],
  ['prusaslicer-m73', 4, 52, 300, [48_090]],
  ['prusaslicer-reprapfirmware', 6, 75, 200, [42_060]],
  ['prusaslicer-smoothie', 6, 75, 200, [42_060]],
  ['prusaslicer-relative-e', 4, 51, 300, [48_090]],
  ['prusaslicer-firmware-retraction', 4, 54, 300, [48_090]],
  ['prusaslicer-two-tools', 4, 53, 300, [25_370, 22_720]],
  // Slic3r marks no layers and estimates no time.
  ['slic3r-reprap', 0, undefined, 300, [16_400]],
  ['slic3r-firmware-retraction', 0, undefined, 300, [16_400]],
  // CuraEngine without its front end fills in no filament.
  ['cura-marlin', 6, 60, 200, []],
  ['cura-reprap', 6, 60, 200, []],
  ['cura-relative-e', 6, 60, 200, []],
  ['cura-ultigcode', 6, 60, 0, []],
]

for (const [name, layers, timeS, layerHeightUm, filamentUm] of SLICED)
  test(`${name}: sealed, opened line by line, equal to what was sliced`, async t => {
    const text = await sample(`${name}.gcode.zst`)
    const packer = new ProgramPacker({ level: 1, profile: EVERY_WORD })
    await packer.check([text])
    t.same(packer.refused, [])
    t.equal(packer.layers, layers)
    t.match(packer.facts.slicer, /^(PrusaSlicer 2\.5|Slic3r 1\.3|Cura_SteamEngine 4\.13)\.0$/)
    t.equal(packer.facts.timeS, timeS)
    t.equal(packer.facts.layerHeightUm ?? 0, layerHeightUm)
    t.same(packer.facts.filamentUm, filamentUm)
    const { minUm = [], maxUm = [] } = packer.geometry() ?? {}
    // The knob is 10 mm wide and 1.2 mm high, inside a skirt.
    t.ok((maxUm[0] ?? 0) - (minUm[0] ?? 0) < 25_000)
    t.ok(Math.abs((maxUm[2] ?? 0) - 1200) <= 50, `height ${maxUm[2]}`)
    const opened = await readFileText(source(await sealText(text)), reader({ profile: EVERY_WORD }))
    t.equal(opened.toString('latin1'), text.toString('latin1').replace(/[^\n -~]/g, '?'))
  })

const strip = (...words: string[]) => new Set(words)

test('what only one maker knows is named, and goes when told to', async t => {
  const text = await sample('cura-griffin.gcode.zst')
  const packer = new ProgramPacker({ level: 1, profile: EVERY_WORD })
  await packer.check([text])
  t.same(
    packer.refused.map(({ line, word }) => [line, word]),
    [[29, 'G280']],
  )
  const stripped = new ProgramPacker({ level: 1, profile: EVERY_WORD, strip: strip('G280') })
  await stripped.check([text])
  t.equal(stripped.refusedLines, 0)
  t.same([...stripped.report.stripped], [['G280', [29]]])
  t.equal(stripped.facts.profile, 'Knob maker')
  t.equal(stripped.facts.nozzleUm, 400)
})

const MACROS = {
  EXCLUDE_OBJECT_DEFINE: 1,
  EXCLUDE_OBJECT_START: 2,
  EXCLUDE_OBJECT_END: 2,
  SET_VELOCITY_LIMIT: 2,
  SET_PRESSURE_ADVANCE: 1,
  SET_PRINT_STATS_INFO: 1,
  TIMELAPSE_TAKE_FRAME: 2,
}

test('OrcaSlicer for Klipper: every macro is refused by name and line, and stripped by name', async t => {
  const text = await sample('orca-klipper.gcode')
  const packer = new ProgramPacker({ level: 1, profile: EVERY_WORD })
  await packer.check([text])
  const lines = text.toString().split('\n')
  const counted = new Map<string, number>()
  for (const { line, word = '' } of packer.refused) {
    t.ok(lines[line - 1]?.startsWith(word), `line ${line} is ${word}`)
    counted.set(word, (counted.get(word) ?? 0) + 1)
  }
  t.same(Object.fromEntries(counted), MACROS)
  const stripped = new ProgramPacker({ level: 1, strip: strip(...Object.keys(MACROS)) })
  await stripped.check([text])
  t.same(stripped.refused, [])
  t.equal(stripped.layers, 2)
  t.equal(stripped.facts.timeS, 41)
  t.equal(stripped.thumbnails().length, 1)
  t.same(stripped.limits().maxNm[1], 105_000_000, 'arcs count for the box')
})

test('Bambu Studio style: layers, time, and which filament is whose', async t => {
  const text = await sample('bambu-style.gcode')
  const packer = new ProgramPacker({ level: 1, profile: EVERY_WORD })
  await packer.check([text])
  t.same(packer.refused, [])
  t.equal(packer.layers, 2)
  const { timeS, slicer, filamentUm, filamentMg, filamentTools } = packer.facts
  t.same(
    { timeS, slicer, filamentUm, filamentMg, filamentTools },
    {
      timeS: 447,
      slicer: 'BambuStudio 01.09.05.51',
      filamentUm: [1200, 2400],
      filamentMg: [10, 20],
      filamentTools: [0, 2],
    },
  )
})
