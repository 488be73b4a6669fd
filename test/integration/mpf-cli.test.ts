/** `mpf` as a newcomer uses it in a shell: pipes, exit codes by class of error, help; and with whichever slicers are installed. */
import { execFileSync, spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import t from 'tap'

const ROOT = join(import.meta.dirname, '../..')
const MPF = join(ROOT, 'bin/mpf')
const SAMPLES = join(ROOT, 'test/samples/slicers')

const home = t.testdir()

interface Outcome {
  readonly code: number | null
  readonly out: Buffer
  readonly notes: string
}

function mpf(args: readonly string[], input?: Buffer): Outcome {
  const { status, stdout, stderr } = spawnSync(MPF, args, {
    cwd: home,
    ...(input && { input }),
    maxBuffer: 1 << 26,
  })
  return { code: status, out: stdout, notes: stderr.toString() }
}

for (const name of ['publisher', 'issuer', 'printer', 'stranger']) mpf(['keygen', name])
mpf(['trust', '--publish', 'publisher.pub.pem', '--grant', 'issuer.pub.pem', '--out', 'trust.json'])
const { tenant } = JSON.parse(readFileSync(join(home, 'trust.json'), 'utf8'))
const SEAL = [
  ...['seal', '-', '--tenant', tenant, '--level', '1', '--to', 'printer.pub.pem'],
  ...['--sign', 'publisher.key.pem', '--issue', 'issuer.key.pem'],
]
const VERIFY = ['verify', '-', '--trust', 'trust.json']
const WITH_KEY = [...VERIFY, '--key', 'printer.key.pem']
const orca = readFileSync(join(SAMPLES, 'orca-klipper.gcode'))

t.test('a pipe in, a pipe out, every check', async t => {
  const sealed = mpf(SEAL, readFileSync(join(SAMPLES, 'prusaslicer-m73.gcode.zst')))
  t.equal(sealed.code, 0)
  const checked = mpf([...WITH_KEY, '--explain'], sealed.out)
  t.equal(checked.code, 0)
  t.match(checked.out.toString(), /^ ok {2}layout.* ok {2}program: 1263 lines.*-: good/s)
  const keyless = mpf([...VERIFY, '--keyless', '--json', '--explain'], sealed.out)
  t.match(JSON.parse(keyless.out.toString()), { ok: true, keyless: true, lines: 1263 })
  t.match(JSON.parse(mpf(['inspect', '-', '--json'], sealed.out).out.toString()), {
    sizeBytes: sealed.out.length,
  })
})

t.test('G-code as it is found: compressed, in small pieces, marked, binary', async t => {
  const text = Buffer.from('G28\nG1 X10 Y10 F600\n')
  const marked = Buffer.concat([Buffer.from([0xef, 0xbb, 0xbf]), text])
  for (const input of [text, gzipSync(text), zstdCompressSync(text), marked]) {
    const { out } = mpf(SEAL, input)
    const checked = mpf([...WITH_KEY, '--explain'], out)
    t.match(checked.out.toString(), /program: 2 lines/)
  }
  t.match(mpf(SEAL, gzipSync(text).subarray(0, 20)), { code: 3, notes: /TOOL_FILE/ })
  t.match(mpf(SEAL, Buffer.from('GCDE\x01\0\0\0')), {
    code: 3,
    notes: /switch it off in the slicer/,
  })
  t.match(mpf(SEAL, Buffer.alloc(0)), { code: 10, notes: /an empty program/ })
})

t.test('what is stripped is said, what is refused is summed up by word', async t => {
  const refused = mpf([...SEAL, '--strip', 'harmless'], orca)
  t.equal(refused.code, 15)
  t.equal(refused.out.length, 0, 'nothing was written')
  t.match(refused.notes, 'SET_VELOCITY_LIMIT: 2 lines refused (first: line 25)')
  const words = 'harmless,SET_VELOCITY_LIMIT,set_pressure_advance'
  const sealed = mpf([...SEAL, '--strip', words], orca)
  t.equal(sealed.code, 0)
  t.match(sealed.notes, 'stripped TIMELAPSE_TAKE_FRAME in 2 lines (first: line 38)')
  t.equal(mpf(WITH_KEY, sealed.out).code, 0)
})

t.test('the exit code tells the class of the error, with and without --json', async t => {
  const { out: sealed } = mpf(SEAL, Buffer.from('G28\nG1 X1 F600\n'))
  const altered = Buffer.from(sealed)
  altered[altered.length - 1] = (altered.at(-1) ?? 0) ^ 1
  const other = join(home, 'other.json')
  writeFileSync(
    other,
    JSON.stringify({ ...JSON.parse(readFileSync(join(home, 'trust.json'), 'utf8')), keys: [] }),
  )
  const cases: readonly (readonly [number, readonly string[], Buffer, RegExp])[] = [
    [2, ['seal'], sealed, /^TOOL_USAGE$/],
    [2, [...VERIFY, '--nonsense'], sealed, /^TOOL_USAGE$/],
    [3, ['verify', '-', '--trust', 'none.json'], sealed, /^TOOL_FILE$/],
    [3, ['lint', '-', '--profile', 'none.json'], sealed, /^CONFIG_UNREADABLE$/],
    [10, VERIFY, sealed.subarray(0, 2000), /^MPF_TRUNCATED$/],
    [11, ['verify', '-', '--trust', other], sealed, /^MPF_SIGNER$/],
    [12, [...VERIFY, '--key', 'stranger.key.pem'], sealed, /^MPF_NO_GRANT$/],
    [14, VERIFY, altered, /^MPF_SEG_HASH$/],
    [16, ['verify', 'none.mpf', '--trust', 'trust.json'], sealed, /^MPF_IO$/],
  ]
  for (const [code, args, input, name] of cases) {
    const plain = mpf(args, input)
    t.equal(plain.code, code, args.join(' '))
    t.match(plain.notes, `mpf: ${name.source.slice(1, -1)}: `)
    const json = mpf([...args, '--json'], input)
    t.equal(json.code, code)
    t.match(JSON.parse(json.out.toString()), { ok: false, code: name })
  }
})

t.test('every command has a manual with its exit codes', async t => {
  const overview = mpf(['help']).out.toString()
  const commands = [...overview.matchAll(/^ {2}([a-z]+) {2,}/gm)].map(([, name]) => name ?? '')
  t.ok(commands.length >= 9)
  for (const name of commands) {
    const manual = mpf(['help', name])
    t.equal(manual.code, 0)
    t.match(manual.out.toString(), /^NAME.*SYNOPSIS.*DESCRIPTION.*EXIT CODES.* 15 {2}/s, name)
    t.equal(mpf([name, '--help']).out.toString(), manual.out.toString())
  }
  t.equal(mpf(['help', 'nonsense']).code, 2)
  t.equal(mpf([]).code, 2)
})

function isInstalled(program: string): boolean {
  return spawnSync('which', [program]).status === 0
}

const SLICERS = [
  ['prusa-slicer', ['-g', '--gcode-flavor', 'marlin2']],
  [
    'prusa-slicer',
    [
      '-g',
      '--gcode-flavor',
      'reprapfirmware',
      '--use-relative-e-distances',
      '--layer-gcode',
      'G92 E0',
    ],
  ],
  ['prusa-slicer', ['-g', '--gcode-flavor', 'smoothie', '--use-firmware-retraction']],
  ['slic3r', ['--gcode-flavor', 'reprap']],
] as const

for (const [program, options] of SLICERS)
  t.test(`${program} ${options.join(' ')}`, async t => {
    if (!isInstalled(program)) return t.comment(`${program} is not installed: not tried`)
    const gcode = join(home, 'sliced.gcode')
    execFileSync(program, [...options, '--output', gcode, join(SAMPLES, 'knob.stl')], {
      stdio: 'ignore',
    })
    const sealed = mpf(SEAL, readFileSync(gcode))
    t.equal(sealed.code, 0, sealed.notes)
    t.equal(mpf(WITH_KEY, sealed.out).code, 0)
  })
