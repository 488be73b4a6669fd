/**
 * A core that is given commands and kills itself, without warning, at one moment: after a counter is durable ('begun'), after the
 * effect ('done'), or by its parent. Every effect is a line in a file, written before the verb resolves.
 */
import { closeSync, fsyncSync, openSync, readFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { VERBS, type Verb } from '#lib/command-statement.ts'
import { parseTrustBundle } from '#mpf'
import { createExecuteCommand, type VerbHandler } from '../../firmware/core/commands/execute.ts'
import { CommandLedger } from '../../firmware/core/commands/ledger.ts'
import { Journal } from '../../firmware/core/journal/journal.ts'
import { loadLogKey } from '../../firmware/core/log-signer.ts'
import { SERIAL, TENANT } from './cloud-roster.ts'

const [, , directory = '', moment = '', nth = '0', at = ''] = process.argv

/** Dies when the moment has come the n-th time. */
let passed = 0
function pass(here: string): void {
  if (here === moment && ++passed === Number(nth)) process.kill(process.pid, 'SIGKILL')
}

class DyingLedger extends CommandLedger {
  override begin(command: Parameters<CommandLedger['begin']>[0]): void {
    super.begin(command)
    pass('begun')
  }
  override finish(id: string, result: Uint8Array): void {
    pass('done')
    super.finish(id, result)
  }
}

const atMs = Number(at)
const stamp = () => ({ atMs, quality: 'rtc' as const })
const journal = new Journal({ path: join(directory, 'journal.sqlite'), stamp })
const ledger = new DyingLedger(join(directory, 'commands.sqlite'))
const effects = openSync(join(directory, 'effects'), 'a')
const answers = openSync(join(directory, 'answers'), 'a')
const envelopes: readonly string[] = JSON.parse(
  readFileSync(join(directory, 'envelopes.json'), 'utf8'),
)
const bundle = parseTrustBundle(readFileSync(join(directory, 'trust.json')))

const append = (file: number, line: string) => {
  writeSync(file, `${line}\n`)
  fsyncSync(file)
}
const handler: VerbHandler = async args => {
  append(effects, String(args.number))
  return { outcome: 'done', message: `number ${args.number}` }
}
const execute = createExecuteCommand({
  ...{ ledger, journal, serial: SERIAL, tenant: TENANT },
  key: await loadLogKey(join(directory, 'log-key.pem')),
  trust: () => bundle,
  time: { now: stamp, observe: () => undefined },
  clock: { nowMs: () => 0 },
  verbs: Object.fromEntries(VERBS.map(verb => [verb, handler])) as Record<Verb, VerbHandler>,
})
// As the courier does: in order, and from the first that has no answer yet.
const answered = readFileSync(join(directory, 'answers'), 'utf8').split('\n').length - 1
for (const envelope of envelopes.slice(answered)) {
  const { result } = await execute(Buffer.from(envelope, 'base64'))
  append(answers, result)
}
closeSync(effects)
