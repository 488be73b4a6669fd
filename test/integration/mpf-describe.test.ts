/** What a sealed file says about its part: the slicer's comments, what was measured, and over both what the sender gives. */
import { spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { zstdDecompressSync } from 'node:zlib'
import t from 'tap'
import { ProgramPacker } from '#mpf'

const ROOT = join(import.meta.dirname, '../..')
const MPF = join(ROOT, 'bin/mpf')
const SAMPLES = join(ROOT, 'test/samples/slicers')
const home = t.testdir({
  'info.json': JSON.stringify({
    title: 'from the file',
    label: 'internal',
    timeS: 4321,
    materials: [
      { tool: 0, kind: 'plastic', name: 'PA12-CF' },
      { tool: 1, kind: 'fibre', name: 'carbon', lengthUm: 1000 },
    ],
    fibre: [
      { tool: 1, fromLayer: 3, toLayer: 8, pattern: 'concentric', anglesMdeg: [0], rings: 2 },
    ],
  }),
  'layers.json': '{"layers": 3}',
  'twice.json': '{"title": "a", "title": "b"}',
  'kind.json': '{"materials": [{"tool": 0, "kind": "gold", "name": ""}]}',
  'cube.gcode':
    ';FLAVOR:Marlin\n;Filament used: 0m\nG28\nM83\nG1 X10 Y10 Z0.2 F6000\nG1 X20 E1.5\nG1 E-0.5\nT1\nG1 X30 E2\n',
})
const png = Buffer.alloc(33)
Buffer.from('\x89PNG\r\n\x1a\n\0\0\0\rIHDR', 'latin1').copy(png)
png.writeUInt32BE(16, 16)
png.writeUInt32BE(16, 20)
writeFileSync(join(home, 'part.png'), png)

function mpf(...args: readonly string[]) {
  const { status, stdout, stderr } = spawnSync(MPF, args, { cwd: home })
  return { code: status, out: stdout.toString(), notes: stderr.toString() }
}

for (const name of ['publisher', 'printer']) mpf('keygen', name)
mpf(
  'trust',
  '--publish',
  'publisher.pub.pem',
  '--grant',
  'publisher.pub.pem',
  '--out',
  'trust.json',
)
const { tenant } = JSON.parse(readFileSync(join(home, 'trust.json'), 'utf8'))

function seal(...options: readonly string[]) {
  const keys = ['--sign', 'publisher.key.pem', '--to', 'printer.pub.pem', '--level', '1']
  return mpf('seal', 'cube.gcode', '--out', 'cube.mpf', '--tenant', tenant, ...keys, ...options)
}

function described(): { readonly info: Record<string, unknown>; readonly [key: string]: unknown } {
  const { out } = mpf(
    ...['inspect', 'cube.mpf', '--json', '--key', 'printer.key.pem', '--trust', 'trust.json'],
  )
  return JSON.parse(out).metadata
}

t.test('filament is measured by tool where the slicer leaves it out', async t => {
  t.equal(seal().code, 0)
  t.match(described().info, {
    title: 'cube',
    materials: [
      { tool: 0, kind: 'plastic', lengthUm: 1500 },
      { tool: 1, kind: 'plastic', lengthUm: 2000 },
    ],
  })
})

t.test('what is measured is what a slicer tells', async t => {
  const text = zstdDecompressSync(readFileSync(join(SAMPLES, 'prusaslicer-m73.gcode.zst')))
  const packer = new ProgramPacker({ level: 1 })
  await packer.check([text])
  const [told = 0] = packer.facts.filamentUm
  const [measured = 0] = packer.filamentUm()
  t.ok(told > 0 && Math.abs(measured / told - 1) < 0.02, `${measured} of ${told} um`)
})

t.test('a file of info goes over the comments, an option over the file', async t => {
  const options = ['--info', 'info.json', '--title', 'from the option', '--thumbnail', 'part.png']
  t.equal(seal(...options, '--orientation', '0,-90,12.5').code, 0)
  const { info } = described()
  const given = JSON.parse(readFileSync(join(home, 'info.json'), 'utf8'))
  t.match(info, {
    ...given,
    title: 'from the option',
    orientationMdeg: [0, -90_000, 12_500],
    layers: 0,
  })
})

t.test('what a reader would refuse is refused before anything is sealed, by its name', async t => {
  for (const [options, problem] of [
    [['--info', 'layers.json'], /--info layers\.json: info: /],
    [['--info', 'twice.json'], /--info twice\.json: info: duplicate member/],
    [['--info', 'kind.json'], /--info kind\.json: info: materials\.0\.kind/],
    [['--thumbnail', 'info.json'], /--thumbnail info\.json: no PNG or QOI/],
    [['--orientation', '1,2'], /--orientation 1,2: expected three angles/],
  ] as const) {
    const { code, notes } = seal(...options)
    t.equal(code, 2, notes)
    t.match(notes, problem)
  }
  t.equal(seal('--info', 'nowhere.json').code, 3)
})
