/** systemd hears that a service is ready and, while its event loop turns, alive; one whose loop hangs is silent. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'

const MODULE = join(import.meta.dirname, '../../firmware/lib/service-manager.ts')
const program = (body: string) => `
  import { tellServiceManager } from '${MODULE}'
  tellServiceManager({ warn: (_, text) => process.stdout.write(text) })
  ${body}
`

/** Runs `body` after a service told that it is ready, with its watchdog's period; resolves with what the program printed. */
async function service(body: string, env: NodeJS.ProcessEnv): Promise<string> {
  const child = spawn(process.execPath, ['--input-type=module', '--eval', program(body)], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env,
  })
  let text = ''
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
  await once(child, 'close')
  return text
}

test('ready, then alive as long as the loop turns', async t => {
  const directory = t.testdir({
    'systemd-notify': '#!/bin/sh\necho "$@" >> "$(dirname "$0")/told"\n',
  })
  chmodSync(join(directory, 'systemd-notify'), 0o755)
  const env = { PATH: `${directory}:${process.env.PATH}`, NOTIFY_SOCKET: '/run/notify' }
  const told = () => readFileSync(join(directory, 'told'), 'utf8').trim().split('\n')

  // Ends by itself once the watchdog was fed twice, which only a turning loop does.
  const untilFed = `
    import { readFileSync } from 'node:fs'
    const fed = () => readFileSync('${directory}/told', 'utf8').split('WATCHDOG').length > 2
    const looking = setInterval(() => { try { if (fed()) clearInterval(looking) } catch {} }, 10)`
  t.equal(await service(untilFed, { ...env, WATCHDOG_USEC: '300000' }), '')
  t.equal(told()[0], 'READY=1')
  t.ok(told().filter(line => line === 'WATCHDOG=1').length >= 2)

  const before = told().length
  await service('for (const end = Date.now() + 500; Date.now() < end; ) {}', {
    ...env,
    WATCHDOG_USEC: '300000',
  })
  const fed = told()
    .slice(before)
    .filter(line => line === 'WATCHDOG=1')
  t.ok(fed.length <= 1, 'nothing in five periods of hanging, once when the loop turns again')
})

test('without a service manager nothing is told; one that cannot be told is logged', async t => {
  const directory = t.testdir({})
  t.equal(await service('', { PATH: directory }), '')
  t.notOk(existsSync(join(directory, 'told')))
  t.match(await service('', { PATH: directory, NOTIFY_SOCKET: '/nowhere' }), /was not told/)
})
