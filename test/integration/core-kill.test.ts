import { spawn } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { once } from 'node:events'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { type Test as Tap } from 'tap'
import { startCore } from '../../firmware/core/core.ts'
import type { Journal } from '../../firmware/core/journal/journal.ts'
import { alone, fakeController } from '../fakes/core-controller.ts'
import {
  type DeskPrinter,
  deskPrinter,
  desktopPorts,
  program,
  seal,
} from '../fakes/core-printer.ts'

const FIXTURE = fileURLToPath(new URL('../fakes/core-kill-fixture.ts', import.meta.url))
const GRANT = Buffer.alloc(16, 3)
/** More than one print has; the loop ends with the first life that reaches its end. */
const MAX_STEPS = 60

/** Random moments of a print; the acceptance run sets 200. */
const KILLS = Number(process.env.MPFD_KILLS ?? 5)

/** Lives until the step; resolves with whether it died there. */
async function liveUntil(
  printer: DeskPrinter,
  executedFile: string,
  step: number,
): Promise<boolean> {
  const child = spawn(process.execPath, [FIXTURE, printer.configFile, executedFile, String(step)], {
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  const [, signal] = await once(child, 'exit')
  return signal === 'SIGKILL'
}

async function untilDecided(journal: Journal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  const check = () => {
    const [job] = journal.jobs()
    if (job && job.state !== 'received') resolve()
  }
  using _ = journal.onEvent(check)
  check()
  await promise
}

const LAST_EVENT = {
  ready: 'job.admitted',
  done: 'job.done',
  failed: 'job.failed',
  interrupted: 'job.interrupted',
} as const

async function expectTruth(t: Tap, printer: DeskPrinter, executedFile: string): Promise<string> {
  const executed = (await readFile(executedFile, 'utf8')).trim().split('\n').filter(Boolean)
  const ending = new AbortController()
  const ports = desktopPorts(() => alone(fakeController()))
  await using core = await startCore(printer.config, ports, ending.signal)
  const { journal } = core
  await untilDecided(journal)
  const jobs = journal.jobs()
  t.equal(jobs.length, 1, 'one file, one job')
  const [job] = jobs
  if (!job) throw new Error('no job')
  const uses = journal.usesOf(GRANT.toString('base64url'))
  t.equal(uses, job.use === null ? 0 : 1, 'the use of the job is the only one')
  if (executed.length > 0) t.equal(uses, 1, 'what was started is charged')
  t.match(await journal.verifyEvents(ending.signal), { isIntact: true })
  const own = journal
    .events(0, 1000)
    .filter(event => event.job === job.id && /^job\./.test(event.type))
  t.equal(
    own.at(-1)?.type,
    LAST_EVENT[job.state as keyof typeof LAST_EVENT],
    `record of ${job.state}`,
  )
  if (job.state === 'failed' || job.state === 'interrupted') {
    t.equal(job.code, 'JOB_INTERRUPTED')
    t.equal(
      job.ackedLine <= Number(executed.at(-1) ?? 0),
      true,
      'no line is claimed that was not acknowledged',
    )
  }
  return job.state
}

t.test('a core killed at any journal step leaves a truthful journal', async t => {
  const states = new Set<string>()
  const text = program(20)
  for (let step = 1; step <= MAX_STEPS; step += 1) {
    await using printer = await deskPrinter()
    const executedFile = join(printer.directory, 'executed')
    await writeFile(executedFile, '')
    const sealed = await seal(printer, text, { maxUses: 1, grantId: GRANT })
    await writeFile(join(printer.stick, 'part.mpf'), sealed)
    const isKilled = await liveUntil(printer, executedFile, step)
    await t.test(
      isKilled ? `killed after step ${step}` : `lived through ${step - 1} steps`,
      async t => {
        states.add(await expectTruth(t, printer, executedFile))
      },
    )
    if (!isKilled) break
  }
  t.strictSame(
    [...states].sort(),
    ['done', 'failed', 'interrupted', 'ready'],
    'every outcome was seen',
  )
})

t.test(`a core killed at ${KILLS} random moments leaves a truthful journal`, async t => {
  const text = program(2000)
  for (let round = 0; round < KILLS; round += 1) {
    await using printer = await deskPrinter()
    const executedFile = join(printer.directory, 'executed')
    await writeFile(executedFile, '')
    const sealed = await seal(printer, text, { maxUses: 1, grantId: GRANT })
    await writeFile(join(printer.stick, 'part.mpf'), sealed)
    const child = spawn(process.execPath, [FIXTURE, printer.configFile, executedFile], {
      stdio: ['ignore', 'ignore', 'inherit'],
    })
    const exited = once(child, 'exit')
    // Chance decides the moment, the first printed line that there is a print to interrupt.
    while ((await readFile(executedFile)).length === 0 && child.exitCode === null)
      await new Promise(resolve => setTimeout(resolve, 5))
    await new Promise(resolve => setTimeout(resolve, randomInt(500)))
    child.kill('SIGKILL')
    await exited
    await t.test(`round ${round + 1}`, async t => {
      t.match(await expectTruth(t, printer, executedFile), /failed|interrupted|done/)
    })
  }
})

async function livesFor(printer: DeskPrinter, executedFile: string, ms: number): Promise<unknown> {
  const child = spawn(process.execPath, [FIXTURE, printer.configFile, executedFile], {
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  const exited = once(child, 'exit')
  const started = (await readFile(executedFile)).length
  while ((await readFile(executedFile)).length === started && child.exitCode === null)
    await new Promise(resolve => setTimeout(resolve, 5))
  await new Promise(resolve => setTimeout(resolve, ms))
  child.kill('SIGKILL')
  const [status] = await exited
  return status
}

t.test(
  'a core killed while it prints and while it resumes prints every line for one use',
  async t => {
    await using printer = await deskPrinter()
    const text = program(3000)
    const executedFile = join(printer.directory, 'executed')
    await writeFile(executedFile, '')
    const sealed = await seal(printer, text, { maxUses: 1, grantId: GRANT })
    await writeFile(join(printer.stick, 'part.mpf'), sealed)
    let lives = 0
    let status: unknown = null
    for (; status === null; lives += 1)
      status = await livesFor(printer, executedFile, 150 + randomInt(100))
    t.equal(status, 0)
    t.ok(lives > 2, `${lives} lives`)
    t.equal(await expectTruth(t, printer, executedFile), 'done')
    const executed = new Set((await readFile(executedFile, 'utf8')).split('\n'))
    const missing = text
      .split('\n')
      .map((line, at) => ({ line, number: `${at + 1}` }))
      .filter(({ line, number }) => /^[GMT]/.test(line) && !executed.has(number))
    t.strictSame(missing, [], 'every command was executed in one of the lives')
  },
)
