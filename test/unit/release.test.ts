/** A release: the same bytes from the same sources, nothing in it that only development needs, one program a file. */
import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'
import { buildRelease } from '../../bin/release.ts'

const version = JSON.parse(
  readFileSync(join(import.meta.dirname, '../../package.json'), 'utf8'),
).version

test('a release', { timeout: 120_000 }, async t => {
  const directory = t.testdir()
  const [one, two] = [join(directory, 'one'), join(directory, 'two')]
  await buildRelease(one)
  await buildRelease(two)
  const files = readdirSync(one, { recursive: true, withFileTypes: true })
    .filter(entry => entry.isFile())
    .map(({ parentPath, name }) => join(parentPath, name).slice(one.length + 1))
    .toSorted()
  const ours = files.filter(file => !file.startsWith('node_modules/'))

  t.test('is the same a second time', async t => {
    for (const file of ours)
      t.ok(readFileSync(join(one, file)).equals(readFileSync(join(two, file))), file)
  })

  t.test('holds programs, launchers, documents and their terms, no sources', async t => {
    t.same(
      ours.filter(file => file.endsWith('.ts')),
      [],
    )
    t.notOk(
      files.some(file => /^(test|fleet|bench)\/|node_modules\/(tap|typescript|aedes)\//.test(file)),
    )
    const notice = readFileSync(join(one, 'NOTICE'), 'utf8')
    for (const name of ['zod', 'jose', 'mqtt', 'pino', 'systeminformation'])
      t.match(notice, new RegExp(`^${name} \\d+\\.\\d+\\.\\d+ \\(`, 'm'))
    t.notMatch(notice, /undefined/)
  })

  t.test('has one program a file', async t => {
    for (const file of ours.filter(file => file.endsWith('.js'))) {
      const mains = readFileSync(join(one, file), 'utf8').split('import.meta.main').length - 1
      t.ok(mains <= 1, `${file}: ${mains} programs`)
    }
  })

  t.test('runs from where it lies', async t => {
    for (const program of ['mpfctl', 'mpfd', 'mpfd-cloud', 'mpfd-clock', 'mpf']) {
      const shown = execFileSync(join(one, 'bin', program), ['--version'], { encoding: 'utf8' })
      t.equal(shown, `${program} ${version}\n`)
    }
    const advice = execFileSync(join(one, 'bin/mpfctl'), ['explain', 'MPF_SIGNER'], {
      encoding: 'utf8',
    })
    t.match(advice, 'MPF_SIGNER')
  })
})
