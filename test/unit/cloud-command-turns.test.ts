/** Several signed commands at once: what waits for what, and that waiting changes no counter and no answer. */
import { test } from 'tap'
import type { Verb } from '#lib/command-statement.ts'
import type { VerbHandler } from '../../firmware/core/commands/execute.ts'
import { command, roster } from '../fakes/cloud-roster.ts'
import { commandBench } from '../fakes/core-command-bench.ts'

const AT_MS = Date.UTC(2026, 10, 22)
const keys = roster()
const operator = (verb: Verb) => command([keys.operator], AT_MS, { verb, role: 'operator' })
const security = (verb: Verb) => command([keys.security, keys.second], AT_MS, { verb })

/** A verb that lasts until it is released. */
function slow() {
  const { promise, resolve } = Promise.withResolvers<void>()
  const handler: VerbHandler = async () => {
    await promise
    return { outcome: 'done', message: 'done' }
  }
  return { handler, release: resolve }
}

test('while a controller drains for a pause, a lock and a cancel are carried out and answered', async t => {
  const pause = slow()
  const cancel: VerbHandler = async () => ({ outcome: 'done', message: 'cancelled' })
  const { execute, done, resultOf } = await commandBench(t, keys, {
    ...{ 'print.pause': pause.handler, 'job.cancel': cancel },
  })
  const pausing = execute(operator('print.pause'))
  for (const envelope of [security('lock'), operator('job.cancel'), operator('rebirth')])
    t.ok(resultOf((await execute(envelope)).result))
  t.same(done, ['print.pause', 'lock', 'job.cancel'], 'an operator may not ask for a rebirth')
  pause.release()
  t.match(resultOf((await pausing).result), { verb: 'print.pause', outcome: 'done' })
})

test('a resume waits for the pause before it, and what changes the printer for good waits for its like', async t => {
  const [pause, wipe] = [slow(), slow()]
  const { execute, done } = await commandBench(t, keys, {
    ...{ 'print.pause': pause.handler, wipe: wipe.handler },
  })
  const verbs = ['print.pause', 'wipe', 'print.resume', 'reuse'] as const
  const all = verbs.map(verb => execute(verb.startsWith('print') ? operator(verb) : security(verb)))
  await execute(security('unlock'))
  t.same(done, ['print.pause', 'wipe', 'unlock'])
  wipe.release()
  await all[3]
  t.same(done.slice(3), ['reuse'])
  pause.release()
  await Promise.all(all)
  t.same(done.slice(4), ['print.resume'])
})

test('the same command while it is carried out waits for the one answer, and is not called cut off', async t => {
  const pause = slow()
  const { execute, done, journal } = await commandBench(t, keys, { 'print.pause': pause.handler })
  const envelope = operator('print.pause')
  const both = [execute(envelope), execute(envelope)]
  pause.release()
  const [first, second] = await Promise.all(both)
  t.equal(second?.result, first?.result)
  t.same(done, ['print.pause'])
  t.match(journal.events(0, 9), [{ type: 'command.executed' }])
})

test('counters are used up in the order commands come, not in the order they end', async t => {
  const pause = slow()
  const { execute, ledger, resultOf } = await commandBench(t, keys, {
    'print.pause': pause.handler,
  })
  const late = command([keys.security], AT_MS, { ctr: 7000 })
  const pausing = execute(
    command([keys.operator], AT_MS, { verb: 'print.pause', role: 'operator', ctr: 7001 }),
  )
  t.equal(ledger.counterOf('ops'), 7001, 'durable before it is carried out')
  t.match(resultOf((await execute(late)).result), { code: 'COMMAND_REPLAY' })
  await execute(command([keys.security], AT_MS, { ctr: 7002 }))
  pause.release()
  await pausing
  t.equal(ledger.counterOf('ops'), 7002)
})

test('a command whose turn comes after its time is not carried out', async t => {
  const pause = slow()
  const { execute, done, resultOf, clock } = await commandBench(t, keys, {
    'print.pause': pause.handler,
  })
  const pausing = execute(operator('print.pause'))
  const resuming = execute(operator('print.resume'))
  await clock.advance(400_000)
  pause.release()
  await pausing
  t.match(resultOf((await resuming).result), { outcome: 'failed', code: 'COMMAND_EXPIRED' })
  t.same(done, ['print.pause'])
})
