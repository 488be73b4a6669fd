/** A core killed between the counter of a command and its effect, and anywhere else: no command has its effect twice, each has an answer. */
import { spawn } from 'node:child_process'
import { createPublicKey, randomInt } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { test } from 'tap'
import { type CommandResult, RESULT_TYPE } from '#lib/command-statement.ts'
import { verifyStatement } from '#lib/dsse.ts'
import { CommandLedger } from '../../firmware/core/commands/ledger.ts'
import { Journal } from '../../firmware/core/journal/journal.ts'
import { command, roster } from '../fakes/cloud-roster.ts'

const FIXTURE = fileURLToPath(new URL('../fakes/core-commands-fixture.ts', import.meta.url))
/** Lives that end by SIGKILL; the acceptance run sets 300. */
const KILLS = Number(process.env.MPFD_KILLS ?? 12)
/** However long the lives take, no command is too old for the last one. */
const AT_MS = Date.UTC(2026, 10, 22)
/** More than the lives can answer: the last life answers the rest. */
const COMMANDS = KILLS * 3 + 20

async function live(
  directory: string,
  moment: string,
  nth: number,
): Promise<NodeJS.Signals | null> {
  const child = spawn(process.execPath, [FIXTURE, directory, moment, String(nth), String(AT_MS)], {
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  const exited = once(child, 'exit')
  if (moment === 'chance') {
    const before = (await readFile(join(directory, 'effects'))).length
    // At least one effect, then chance decides.
    while (
      (await readFile(join(directory, 'effects'))).length === before &&
      child.exitCode === null
    )
      await new Promise(resolve => setTimeout(resolve, 1))
    await new Promise(resolve => setTimeout(resolve, randomInt(4)))
    child.kill('SIGKILL')
  }
  const [, signal] = await exited
  return signal
}

test(`${KILLS} kills: every command has its effect at most once and one answer that is true`, async t => {
  const directory = await mkdtemp(join(tmpdir(), 'core-commands-'))
  t.teardown(() => rm(directory, { recursive: true }))
  const keys = roster()
  const envelopes = Array.from({ length: COMMANDS }, (_, number) =>
    command([keys.security], AT_MS, { id: `n-${number}`, args: { number } }),
  ).map(envelope => Buffer.from(envelope).toString('base64'))
  await writeFile(join(directory, 'envelopes.json'), JSON.stringify(envelopes))
  await writeFile(join(directory, 'trust.json'), keys.bundle)
  for (const name of ['effects', 'answers']) await writeFile(join(directory, name), '')
  const killed = { begun: 0, done: 0, chance: 0 }
  for (let life = 0; life < KILLS; life += 1) {
    const moment = (['begun', 'done', 'chance'] as const)[life % 3] ?? 'begun'
    if ((await live(directory, moment, 1 + (life % 2))) === 'SIGKILL') killed[moment] += 1
  }
  t.equal(await live(directory, 'never', 0), null, 'the last life ends by itself')
  t.ok(killed.begun > 0 && killed.done > 0, 'killed before and after the effect')
  t.comment(JSON.stringify(killed))

  const effects = (await readFile(join(directory, 'effects'), 'utf8')).trim().split('\n')
  t.equal(new Set(effects).size, effects.length, 'no effect twice')
  const publicKey = createPublicKey(await readFile(join(directory, 'log-key.pem')))
  const answers = (await readFile(join(directory, 'answers'), 'utf8')).trim().split('\n')
  const results = answers.map(text => {
    const verdict = verifyStatement(Buffer.from(text, 'base64'), RESULT_TYPE, () => ({
      algorithm: 'EdDSA',
      publicKey,
    }))
    return verdict.kind === 'verified' ? (verdict.statement as CommandResult) : undefined
  })
  const answeredIds = new Set(results.map(result => result?.id))
  t.equal(answeredIds.size, COMMANDS, 'each command is answered, with a signature')
  const isDone = (number: string) => effects.includes(number)
  const untrue = results.filter(result =>
    result?.outcome === 'done'
      ? !isDone(String(result.id).slice(2))
      : result?.code !== 'COMMAND_INTERRUPTED',
  )
  t.same(untrue, [], 'done has its effect; everything else is told as interrupted')
  using journal = new Journal({
    path: join(directory, 'journal.sqlite'),
    stamp: () => ({ atMs: AT_MS, quality: 'rtc' }),
  })
  t.match(await journal.verifyEvents(new AbortController().signal), { isIntact: true })
  using ledger = new CommandLedger(join(directory, 'commands.sqlite'))
  t.ok(ledger.counterOf('ops') > 0)
})
