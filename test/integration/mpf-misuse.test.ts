/** `mpf` in clumsy hands: wrong files, wrong keys, full disks, closed pipes, signals. A code, what to do, an exit code; never a trace. */
import { spawn, spawnSync } from 'node:child_process'
import { readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { gzipSync } from 'node:zlib'
import t, { type Test } from 'tap'

const ROOT = join(import.meta.dirname, '../..')
const MPF = join(ROOT, 'bin/mpf')
const PROGRAM = '; a part\nG28\nG1 X10 Y10 F600\n'
const home = t.testdir({ 'part.gcode': PROGRAM, directory: {}, empty: '', byte: 'M' })

interface Outcome {
  readonly code: number | null
  readonly out: string
  readonly notes: string
}

function run(file: string, args: readonly string[], options: object = {}): Outcome {
  const { status, stdout, stderr } = spawnSync(file, args, { cwd: home, ...options })
  return { code: status, out: stdout.toString(), notes: stderr.toString() }
}

const mpf = (args: readonly string[], options?: object) => run(MPF, args, options)
const shell = (line: string) => run('bash', ['-c', line], { env: { ...process.env, MPF } })

function openssl(t: Test, line: string): boolean {
  const { code } = shell(`openssl ${line}`)
  if (code !== 0) t.comment('openssl is not installed: keys of other makers were not tried')
  return code === 0
}

for (const name of ['publisher', 'printer']) mpf(['keygen', name])
const [publisher, printer] = ['publisher', 'printer'].map(name =>
  readFileSync(join(home, `${name}.key.pem`), 'utf8'),
)
mpf(['trust', '--publish', 'publisher.pub.pem', '--out', 'trust.json'])
const { tenant } = JSON.parse(readFileSync(join(home, 'trust.json'), 'utf8'))
const SEAL = ['seal', 'part.gcode', '--tenant', tenant, '--level', '1']
const SIGN = [...SEAL, '--sign', 'publisher.key.pem', '--to', 'printer.pub.pem']
mpf([...SIGN, '--out', 'part.mpf'])

/** One object that says code and advice, the exit code, and no trace. */
function refused(
  t: Test,
  args: readonly string[],
  [code, exit]: readonly [code: string, exit: number],
  input?: Buffer,
): void {
  const name = args.join(' ')
  const answer = mpf([...args, '--json'], { input })
  t.match(JSON.parse(answer.out), { ok: false, code, advice: /./ }, name)
  t.equal(answer.code, exit, name)
  t.notMatch(answer.notes, /^ {4}at /m, name)
}

t.test('a person is told what happened and what to do', async t => {
  const { code, notes } = mpf(['lint', 'missing'])
  t.equal(code, 3)
  t.match(notes, /^mpf: TOOL_FILE: cannot read missing: .+\n {2}Check the path.+\n$/)
})

t.test('a sealed file that is none', async t => {
  for (const file of ['empty', 'byte', 'part.gcode'])
    refused(t, ['verify', file, '--trust', 'trust.json'], ['MPF_SIZE', 10])
  for (const file of ['directory', '/dev/null', 'missing'])
    refused(t, ['inspect', file], ['MPF_IO', 16])
  symlinkSync('part.mpf', join(home, 'link.mpf'))
  t.equal(mpf(['verify', 'link.mpf', '--trust', 'trust.json']).code, 0, 'a link is followed')
})

t.test('text that is no program', async t => {
  const lint = ['lint', '-']
  for (const text of ['', '; only\n; comments\n\n'])
    refused(t, lint, ['MPF_SIZE', 10], Buffer.from(text))
  const utf16 = Buffer.concat([Buffer.from('fffe', 'hex'), Buffer.from(PROGRAM, 'utf16le')])
  const cut = gzipSync(PROGRAM).subarray(0, 20)
  for (const input of [utf16, Buffer.from('PK\x03\x04rest'), cut])
    refused(t, lint, ['TOOL_FILE', 3], input)
  refused(t, lint, ['MPF_GCODE', 15], Buffer.alloc(9_000_000, 'x'))
  refused(t, ['lint', 'directory'], ['TOOL_FILE', 3])
})

t.test('commands behind a carriage return alone are not lost in a comment', async t => {
  const input = Buffer.from(PROGRAM.replaceAll('\n', '\r'))
  const { code, out, notes } = mpf(['lint', '-', '--json'], { input })
  t.match(JSON.parse(out), { ok: false, refusedLines: 1 })
  t.equal(code, 15)
  t.match(notes, /MPF_GCODE: line 1/)
})

t.test('a slicer whose layers are not known is told of', t => {
  const notes = (mark: string) =>
    mpf(['lint', '-'], { input: Buffer.from(`G28\n${mark}\nG1 X10 Y10 F600\n`) }).notes
  t.match(notes('; layer 1, Z = 0.200'), /^mpf: no layer marks found/)
  t.equal(notes(';LAYER:0'), '')
  t.end()
})

t.test('a command line that is none', async t => {
  const usage = ['TOOL_USAGE', 2] as const
  for (const args of [
    ['no-such-command'],
    ['help', 'no-such-command'],
    ['verify', '-x'],
    ['verify', 'part.mpf', '--trust'],
    ['verify', 'one', 'two', '--trust', 'trust.json'],
    ['lint', 'part.gcode', '--level', '0'],
    ['lint', 'part.gcode', '--settings', 'missing'],
    ['trust', '--publish', 'publisher.pub.pem', '--out', 'new.json', '--tenant', 'x'],
  ])
    refused(t, args, usage)
  t.match(mpf(['seal', '-h']), { code: 0, out: /^NAME/ })
})

t.test('a file that is not the key it is given as', async t => {
  const wrong = ['TOOL_KEY', 3] as const
  writeFileSync(join(home, 'two.pem'), `${publisher}${printer}`)
  for (const key of ['publisher.pub.pem', 'two.pem', 'empty', 'trust.json'])
    refused(t, [...SEAL, '--sign', key], wrong)
  for (const key of ['printer.key.pem', 'two.pem', 'part.mpf'])
    refused(t, [...SEAL, '--sign', 'publisher.key.pem', '--to', key], wrong)
  for (const bundle of ['empty', 'part.mpf', 'publisher.pub.pem'])
    refused(t, ['verify', 'part.mpf', '--trust', bundle], wrong)
  if (!openssl(t, 'genrsa -traditional -out short.pem 1024')) return
  openssl(t, 'pkcs8 -topk8 -in publisher.key.pem -out locked.pem -passout pass:x')
  openssl(t, 'ecparam -name prime256v1 -genkey -noout -out p256.pem')
  for (const key of ['short.pem', 'locked.pem']) refused(t, [...SEAL, '--sign', key], wrong)
  refused(t, ['verify', 'part.mpf', '--trust', 'trust.json', '--key', 'p256.pem'], wrong)
})

t.test('keygen and seal write all or nothing, and never over what they read', async t => {
  writeFileSync(join(home, 'half.pub.pem'), 'mine')
  refused(t, ['keygen', 'half'], ['TOOL_FILE', 3])
  t.notOk(readdirSync(home).includes('half.key.pem'), 'no private key without its public one')
  refused(t, [...SIGN, '--out', 'part.gcode'], ['TOOL_USAGE', 2])
  refused(t, [...SIGN, '--out', 'directory'], ['TOOL_FILE', 3])
  refused(t, [...SIGN, '--out', 'missing/part.mpf'], ['TOOL_FILE', 3])
  symlinkSync('directory', join(home, 'elsewhere'))
  writeFileSync(join(home, 'directory/target.mpf'), 'old')
  symlinkSync('directory/target.mpf', join(home, 'out.mpf'))
  t.equal(mpf([...SIGN, '--out', 'out.mpf']).code, 0)
  t.ok(statSync(join(home, 'directory/target.mpf')).size > 1024, 'a link is followed')
  t.equal(mpf([...SIGN, '--out', '/dev/null']).code, 0)
  t.ok(statSync('/dev/null').isCharacterDevice(), 'a device stays one')
  t.same(leftovers(), [])
})

t.test('no room: said, and nothing left', async t => {
  const env = { ...process.env, TMPDIR: join(home, 'missing') }
  for (const args of [SIGN, ['verify', '-', '--trust', 'trust.json']])
    t.match(mpf(args, { env }), { code: 3, notes: /TOOL_FILE: cannot keep/ })
  t.match(mpf([...SIGN, '--out', '/dev/full']), { code: 3, notes: /TOOL_FILE: .+ENOSPC/ })
  t.same(leftovers(), [])
})

t.test('a pipe that is closed is no fault, a full device is', async t => {
  for (const line of ['"$MPF" help seal | true', '"$MPF" inspect part.mpf --json | true'])
    t.match(shell(`${line}; exit \${PIPESTATUS[0]}`), { code: 0, notes: '' }, line)
  t.match(shell('"$MPF" help seal > /dev/full'), { code: 3, notes: /^mpf: TOOL_FILE.*\n$/ })
  t.equal(shell('"$MPF" lint missing 2> /dev/full').code, 3)
})

t.test('a clock that is wrong signs nothing', async t => {
  const clock = join(home, 'clock.mjs')
  writeFileSync(clock, 'Date.now = () => 915148800000')
  const env = { ...process.env, NODE_OPTIONS: `--import ${clock}` }
  t.match(mpf(SIGN, { env }), { code: 3, notes: /TOOL_CLOCK: the clock says 1999-01-01/ })
})

for (const signal of ['SIGINT', 'SIGTERM'] as const)
  t.test(`${signal} while a file is written leaves none of it`, async t => {
    // As any command writes, but never done.
    const script = `
      import { writeWhole } from '${join(ROOT, 'firmware/mpf/files.ts')}'
      await writeWhole('never.mpf', (async function* () {
        yield Buffer.alloc(1 << 20)
        await new Promise(() => setInterval(() => {}, 1000))
      })())`
    const child = spawn(process.execPath, ['--input-type=module', '--eval', script], { cwd: home })
    while (leftovers().length === 0 && child.exitCode === null) await sleep(20)
    t.equal(leftovers().length, 1, 'it was there')
    const ended = new Promise(resolve => child.once('exit', (_, by) => resolve(by)))
    child.kill(signal)
    t.equal(await ended, signal)
    t.same(leftovers(), [])
    t.notOk(readdirSync(home).includes('never.mpf'))
  })

function leftovers(): readonly string[] {
  return readdirSync(home, { recursive: true, encoding: 'utf8' }).filter(name =>
    name.endsWith('.mpf-part'),
  )
}
