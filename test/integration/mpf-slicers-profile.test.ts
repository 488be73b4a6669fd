/** `mpf lint --profile` and `mpf seal --profile` over the output of every slicer there is a sample of: what they refuse is named, what they let through the printer takes. */
import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { WORD_NAMES } from '../../mpf/gcode/tables.ts'

const ROOT = join(import.meta.dirname, '../..')
const MPF = join(ROOT, 'bin/mpf')
const SAMPLES = join(ROOT, 'test/samples/slicers')
const home = t.testdir()

function mpf(...args: readonly string[]) {
  const { status, stdout, stderr } = spawnSync(MPF, args, { cwd: home })
  return { code: status, out: stdout.toString(), notes: stderr.toString() }
}

interface Profile {
  words?: readonly string[]
  nozzleMm: number
  maxFeedMmPerMin: number
  readonly limitsMm: { readonly max: number[] }
  readonly maxTempC: { hotend: number[] }
}

/** The sample configuration with changes to its profile, as a file. */
function configure(name: string, change: (profile: Profile) => void): string {
  const config = JSON.parse(readFileSync(join(ROOT, 'config/samples/printer.json'), 'utf8'))
  change(config.printer.profile)
  writeFileSync(join(home, name), JSON.stringify(config))
  return name
}

/** A printer with two tools that knows every word the format has a model for. */
const wide = (nozzleMm: number) =>
  configure('wide.json', profile => {
    profile.nozzleMm = nozzleMm
    profile.words = WORD_NAMES
    profile.maxFeedMmPerMin = 30_000
    profile.maxTempC.hotend = [285, 285]
  })
const usual = (nozzleMm: number) =>
  configure('usual.json', profile => {
    profile.nozzleMm = nozzleMm
  })
/** Slic3r's own default; all else was sliced for 0.4 mm. */
const nozzleOf = (name: string) => (name.startsWith('slic3r') ? 0.5 : 0.4)

for (const name of ['publisher', 'printer']) mpf('keygen', name)
const PUBLISHER = 'publisher.pub.pem'
mpf('trust', '--publish', PUBLISHER, '--grant', PUBLISHER, '--out', 'trust.json')
const { tenant } = JSON.parse(readFileSync(join(home, 'trust.json'), 'utf8'))

function seal(input: string, ...options: readonly string[]) {
  return mpf(
    ...['seal', input, '--out', 'part.mpf', '--tenant', tenant, '--sign', 'publisher.key.pem'],
    ...['--to', 'printer.pub.pem', '--level', '1', ...options],
  )
}

const KLIPPER = [
  ...['EXCLUDE_OBJECT_DEFINE', 'EXCLUDE_OBJECT_END', 'EXCLUDE_OBJECT_START'],
  ...['SET_PRESSURE_ADVANCE', 'SET_PRINT_STATS_INFO', 'SET_VELOCITY_LIMIT'],
  'TIMELAPSE_TAKE_FRAME',
]

/** Words refused by a printer that knows every word; and by one as the sample configuration has it. */
const REFUSED: Readonly<Record<string, readonly [readonly string[], readonly string[]]>> = {
  'bambu-style': [[], ['G1', 'G17', 'G2']],
  'cura-griffin': [['G280'], ['G280']],
  'cura-marlin': [[], []],
  'cura-relative-e': [[], []],
  'cura-reprap': [[], []],
  'cura-ultigcode': [[], []],
  'orca-klipper': [KLIPPER, [...KLIPPER, 'G1', 'G17', 'G3'].sort()],
  'prusaslicer-firmware-retraction': [[], ['G10', 'G11']],
  'prusaslicer-m73': [[], []],
  'prusaslicer-marlin2': [[], []],
  'prusaslicer-relative-e': [[], []],
  'prusaslicer-reprapfirmware': [[], ['G10', 'M116']],
  'prusaslicer-smoothie': [[], []],
  'prusaslicer-two-tools': [[], ['M104', 'M109']],
  'slic3r-firmware-retraction': [[], ['G10', 'G11']],
  'slic3r-reprap': [[], []],
}
const FILES = readdirSync(SAMPLES).filter(file => /\.gcode(\.zst)?$/.test(file))
const nameOf = (file: string) => file.replace(/\.gcode(\.zst)?$/, '')

function refusedWords(args: readonly string[]): readonly string[] {
  const { code, out } = mpf(...args, '--json')
  const { refused = [] } = JSON.parse(out)
  if ((code === 0) !== (refused.length === 0)) throw new Error(`exit ${code}: ${out}`)
  return [...new Set<string>(refused.map(({ word }: { readonly word: string }) => word))].sort()
}

t.test('every sample is in the table', async t => {
  t.same(FILES.map(nameOf).sort(), Object.keys(REFUSED).sort())
})

for (const file of FILES)
  t.test(`${nameOf(file)}: what is refused is named; the rest is sealed and fits`, async t => {
    const [path, nozzleMm] = [join(SAMPLES, file), nozzleOf(file)]
    const [byWide = [], byUsual = []] = REFUSED[nameOf(file)] ?? []
    const profile = wide(nozzleMm)
    t.same(refusedWords(['lint', path, '--profile', profile]), byWide)
    t.same(refusedWords(['lint', path, '--profile', usual(nozzleMm)]), byUsual)
    const sealed = seal(path, '--profile', profile, '--strip', byWide.join())
    t.equal(sealed.code, 0, sealed.notes)
    const verified = mpf(
      ...['verify', 'part.mpf', '--trust', 'trust.json', '--key', 'printer.key.pem'],
      ...['--profile', profile],
    )
    t.equal(verified.code, 0, verified.notes)
  })

t.test('what no line shows by itself is refused before anything is written', async t => {
  const fine = configure('fine.json', profile => {
    profile.nozzleMm = 0.25
  })
  // A reader lets an arc pass the box by a micrometre for the last bit of a sine; what is signed for it would not fit.
  writeFileSync(join(home, 'arc.gcode'), 'G28\nG1 X90 Y90 F600\nG3 X90 Y110 I0 J10\n')
  const close = configure('close.json', profile => {
    profile.limitsMm.max[0] = 99.9995
  })
  for (const [input, profile] of [
    [join(SAMPLES, 'prusaslicer-m73.gcode.zst'), fine],
    ['arc.gcode', close],
  ] as const)
    for (const { code, notes } of [
      mpf('lint', input, '--profile', profile),
      seal(input, '--profile', profile),
    ]) {
      t.equal(code, 15)
      t.match(notes, 'MPF_POLICY: does not fit this printer')
    }
})
