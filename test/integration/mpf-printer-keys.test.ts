/** What each key lets `mpf verify` and `mpf inspect` see and prove; an option that would prove nothing is refused, never passed over. */
import { spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'

const ROOT = join(import.meta.dirname, '../..')
const MPF = join(ROOT, 'bin/mpf')
const home = t.testdir({ 'part.gcode': 'G28\nG1 X10 Y10 Z0.2 F600\nG1 X20 E1\n' })

function mpf(...args: readonly string[]) {
  const { status, stdout, stderr } = spawnSync(MPF, args, { cwd: home })
  return { code: status, out: stdout.toString(), notes: stderr.toString() }
}

for (const name of ['publisher', 'printer', 'viewer', 'stranger']) mpf('keygen', name)
mpf('keygen', 'second', '--kind', 'ML-DSA-65')
for (const name of ['hybrid', 'other']) mpf('keygen', name, '--kind', 'hybrid')
const publish = ['--publish', 'publisher.pub.pem', '--publish', 'second.pub.pem']
mpf('trust', ...publish, '--grant', 'publisher.pub.pem', '--out', 'trust.json')
const { tenant } = JSON.parse(readFileSync(join(home, 'trust.json'), 'utf8'))

const SIGNED = ['--tenant', tenant, '--sign', 'publisher.key.pem', '--level', '1']
const sealed = mpf(
  ...['seal', 'part.gcode', ...SIGNED, '--sign-pq', 'second.key.pem'],
  ...['--to', 'printer.pub.pem', '--to', 'hybrid.pub.json'],
)
const TRUST = ['--trust', 'trust.json']
const CLASSICAL = ['--key', 'printer.key.pem']
const HYBRID = ['--hybrid-key', 'hybrid.key.json']
/** A view-only grant for a viewer, in its own file. */
const GRANT = [
  ...['grant', 'part.mpf', ...TRUST, '--issue', 'publisher.key.pem'],
  ...['--to', 'viewer.pub.pem', '--scope', 'view', '--out', 'viewer.mpfg'],
]

t.test('either key of a printer is enough for every check', async t => {
  t.equal(sealed.code, 0, sealed.notes)
  for (const keys of [CLASSICAL, HYBRID, [...CLASSICAL, ...HYBRID]]) {
    const { code, out } = mpf('verify', 'part.mpf', ...TRUST, ...keys)
    t.equal(code, 0, keys.join(' '))
    t.match(out, 'good: 3 lines, every check')
    t.equal(mpf('report', 'part.mpf', ...TRUST, ...keys).code, 0)
  }
  t.equal(mpf('verify', 'part.mpf', ...TRUST, '--hybrid-key', 'other.key.json').code, 12)
  t.equal(mpf('verify', 'part.mpf', ...TRUST, '--hybrid-key', 'hybrid.pub.json').code, 3)
})

t.test(
  'what would prove nothing without a key is a usage error; the profile needs none',
  async t => {
    t.equal(mpf(...GRANT, '--holder-hybrid', 'hybrid.key.json').code, 0)
    for (const options of [[], ['--keyless', ...HYBRID]])
      t.equal(
        mpf('verify', 'part.mpf', ...TRUST, '--grant', 'viewer.mpfg', ...options).code,
        2,
        options.join(' '),
      )
    const config = JSON.parse(readFileSync(join(ROOT, 'config/samples/printer.json'), 'utf8'))
    writeFileSync(join(home, 'fits.json'), JSON.stringify(config))
    const { limitsMm } = config.printer.profile
    limitsMm.max[0] = 15
    writeFileSync(join(home, 'small.json'), JSON.stringify(config))
    const keyless = ['verify', 'part.mpf', ...TRUST, '--explain', '--profile']
    t.match(mpf(...keyless, 'fits.json').out, / ok {2}envelope: inside this printer/)
    const refused = mpf(...keyless, 'small.json')
    t.equal(refused.code, 15)
    t.match(refused.out, /FAIL envelope/)
  },
)

t.test('inspect vouches for nothing without a key, and shows a printer the metadata', async t => {
  const outside = mpf('inspect', 'part.mpf')
  t.equal(outside.code, 0)
  t.match(outside.out, 'bytes (not verified)')
  t.match(outside.out, /ES384.*\n.*ML-DSA-65/, 'both signers')
  t.notMatch(outside.out, 'title')
  for (const keys of [CLASSICAL, HYBRID]) {
    const inside = JSON.parse(mpf('inspect', 'part.mpf', '--json', ...TRUST, ...keys).out)
    t.match(inside.metadata, {
      info: { title: 'part' },
      geometry: { extrusionMoves: 1 },
      thumbnails: [],
    })
  }
  t.match(mpf('inspect', 'part.mpf', ...TRUST, ...HYBRID).out, /program not verified.*"part"/s)
})

t.test('a grant to view is enough to inspect, and no more', async t => {
  const viewer = [...TRUST, '--key', 'viewer.key.pem', '--grant', 'viewer.mpfg']
  const { code, out } = mpf('inspect', 'part.mpf', '--json', ...viewer)
  t.equal(code, 0)
  t.equal(JSON.parse(out).metadata.info.title, 'part')
  t.equal(mpf('verify', 'part.mpf', ...viewer).code, 12)
  t.equal(mpf('inspect', 'part.mpf', ...TRUST, '--key', 'stranger.key.pem').code, 12)
})

t.test('inspect with a key needs to know whom to believe, and the other way round', async t => {
  t.equal(mpf('inspect', 'part.mpf', ...CLASSICAL).code, 2)
  t.equal(mpf('inspect', 'part.mpf', ...TRUST).code, 2)
  t.equal(mpf('inspect', 'part.mpf', '--grant', 'viewer.mpfg').code, 2)
})
