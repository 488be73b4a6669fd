/** `mpfd --all` runs core and courier: one that dies is started again, a signal ends both in order, a fault of a person ends all. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { test } from 'tap'
import { fleet, printer } from '../fakes/cloud-bench.ts'

const MPFD = join(import.meta.dirname, '../../bin/mpfd')

const start = (file: string): ChildProcess =>
  spawn(MPFD, ['--all', '--config', file, '--simulate'], { stdio: 'ignore' })

/** The child of `parent` that runs this program, once there is one. */
async function childRunning(parent: number | undefined, program: string): Promise<number> {
  for (;;) {
    for (const id of (await readdir('/proc')).filter(name => /^\d+$/.test(name))) {
      const read = (name: string) => readFile(`/proc/${id}/${name}`, 'utf8').catch(() => '')
      const isOurs = new RegExp(`^PPid:\t${parent}$`, 'm').test(await read('status'))
      if (isOurs && (await read('cmdline')).includes(program)) return Number(id)
    }
    await wait(20)
  }
}

const isAlive = (id: number) => {
  try {
    return !/^State:\tZ/m.test(readFileSync(`/proc/${id}/status`, 'utf8'))
  } catch {
    return false
  }
}

test('both run, one that is killed comes back, SIGTERM ends both', async t => {
  await using on = await fleet('aedes')
  const desk = await printer(on, 'P-1')
  const all = start(join(desk.directory, 'config.json'))
  t.teardown(() => all.kill('SIGKILL'))
  const courier = await childRunning(all.pid, 'firmware/cloud/main.ts')
  const core = await childRunning(all.pid, 'firmware/core/main.ts')
  process.kill(core, 'SIGKILL')
  while (isAlive(core)) await wait(20)
  const next = await childRunning(all.pid, 'firmware/core/main.ts')
  t.not(next, core)
  t.ok(isAlive(courier), 'the other one goes on')
  all.kill('SIGTERM')
  const [status] = await once(all, 'exit')
  t.equal(status, 0)
  t.notOk(isAlive(next) || isAlive(courier))
})

test('a configuration that cannot be right ends all of it', async t => {
  const file = join(t.testdir(), 'config.json')
  await writeFile(file, '{}')
  const [status] = await once(start(file), 'exit')
  t.equal(status, 78)
})
