/** The configuration: every sample loads, and every mistake is named by its key. */
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'tap'
import { ConfigError, loadConfig, parseConfig } from '#config'
import { DEFAULT_WORDS, type MachineProfile } from '#mpf'

const samples = join(import.meta.dirname, '../../config/samples')

type Json = Record<string, unknown>

/** A second controller that takes no word. */
const CHAMBER = { name: 'chamber', role: 'chamber', dialect: 'marlin', port: 'simulated' }

/** The sample as a fresh, writable value. */
async function sampleValue(): Promise<Json> {
  return JSON.parse(await readFile(join(samples, 'printer.json'), 'utf8'))
}

/** Puts `wrong` at a dotted path, or removes what is there when it is undefined. */
function spoil(value: Json, path: string, wrong: unknown): Json {
  const keys = path.split('.')
  const last = keys.pop() ?? ''
  const place = keys.reduce((at, key) => at[key] as Json, value)
  if (wrong === undefined) delete place[last]
  else place[last] = wrong
  return value
}

function refusal(value: unknown): ConfigError {
  try {
    parseConfig(value)
  } catch (error) {
    if (error instanceof ConfigError) return error
    throw error
  }
  throw new Error('accepted')
}

test('loads every sample', async t => {
  const names = (await readdir(samples)).filter(name => name.endsWith('.json'))
  t.ok(names.length > 0)
  for (const name of names) {
    const config = await loadConfig(join(samples, name))
    t.equal(config.controllers.length, name === 'three-controllers.json' ? 3 : 1, name)
  }
})

test('fills every default and fails closed', async t => {
  const { printer, controllers } = spoil(await sampleValue(), 'printer.scripts', undefined)
  const config = parseConfig({ printer, controllers })
  t.equal(config.usb.autoStart, 'ask')
  t.same(config.usb.mountDirectories, [])
  t.equal(config.control.mode, 0o660)
  t.equal(config.printer.profile.maxLineBytes, 76)
  t.same(config.printer.scripts.abnormalEnd, [])
  t.match(config.controllers, [{ checksum: 'xor', reattachWithinMs: 10_000, tools: [] }])
})

test('allows the same words as the file format by default', async t => {
  const profile: MachineProfile = parseConfig(await sampleValue()).printer.profile
  t.same(profile.words, DEFAULT_WORDS)
})

test('is frozen all the way down', async t => {
  const config = parseConfig(await sampleValue())
  const thaw = config as unknown as { printer: { profile: { limitsMm: { max: number[] } } } }
  t.throws(() => {
    thaw.printer.profile.limitsMm.max[0] = 9999
  })
})

test('names the key of each mistake', async t => {
  const cases: readonly (readonly [string, string, unknown, string])[] = [
    ['an unknown top key', 'usbb', {}, '(top): unknown key "usbb"'],
    ['an unknown nested key', 'usb.autostart', 'start', 'usb: unknown key "autostart"'],
    ['a missing serial', 'printer.serial', undefined, 'printer.serial: expected string'],
    ['a tenant of 15 bytes', 'printer.tenant', 'A'.repeat(20), 'printer.tenant: expected 16'],
    ['a tenant not canonical', 'printer.tenant', `${'A'.repeat(21)}B`, 'printer.tenant: expected'],
    ['a relative path', 'stateDirectory', 'var', 'stateDirectory: expected an absolute path'],
    ['a mode open to others', 'control.mode', '0666', 'control.mode: expected four octal'],
    ['a mode as a number', 'control.mode', 432, 'control.mode: expected string'],
    ['no controller', 'controllers', [], 'controllers: expected exactly one'],
    ['a port by name', 'controllers.0.port', 'ttyACM0', 'controllers.0.port: expected'],
    [
      'a script with a comment',
      'printer.scripts.pause',
      ['G28 ;x'],
      'scripts.pause.0: expected one',
    ],
    [
      'a script of two lines',
      'printer.scripts.pause',
      ['G28\nM112'],
      'scripts.pause.0: expected one',
    ],
    ['a controller nobody routes to', 'controllers.1', CHAMBER, 'controllers: expected tools'],
    ['a rehearsal of a Marlin', 'controllers.0.rehearse', true, 'expected rehearse only for grbl'],
    ['a name twice', 'controllers.1', { ...CHAMBER, name: 'motion' }, 'expected each name once'],
    ['a tool of the motion controller', 'controllers.0.tools', [0], 'controllers: expected tools'],
    ['a file above the spool', 'spool.maxBytes', 1, 'spool: expected maxFileBytes not above'],
    ['an axis upside down', 'printer.profile.limitsMm.max.2', -1, 'limitsMm: expected every min'],
    ['a policy typo', 'usb.autoStart', 'always', 'usb.autoStart'],
  ]
  for (const [title, path, wrong, expected] of cases) {
    const error = refusal(spoil(await sampleValue(), path, wrong))
    t.equal(error.code, 'CONFIG_INVALID', title)
    t.ok(error.message.includes(expected), `${title}: ${error.message}`)
  }
})

test('tells a file that cannot be read from one that is wrong', async t => {
  const directory = t.testdir()
  await t.rejects(loadConfig(join(directory, 'none.json')), { code: 'CONFIG_UNREADABLE' })
  await writeFile(join(directory, 'half.json'), '{"printer": ')
  await t.rejects(loadConfig(join(directory, 'half.json')), { code: 'CONFIG_INVALID' })
  await writeFile(join(directory, 'huge.json'), ' '.repeat(300 * 1024))
  await t.rejects(loadConfig(join(directory, 'huge.json')), { code: 'CONFIG_UNREADABLE' })
})
