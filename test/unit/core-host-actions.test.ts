/** What a controller says of its own accord: asked for, it pauses a print; it never starts, resumes or ends one. */
import t, { type Test as Tap } from 'tap'
import { createLogger } from '#lib/logger.ts'
import { ControllerVoice } from '../../firmware/core/engine/controller-voice.ts'
import { takeAction } from '../../firmware/core/engine/host-actions.ts'
import { type Bench, engineBench } from '../fakes/core-bench.ts'

interface Voiced {
  readonly b: Bench
  readonly voice: ControllerVoice
  say(...actions: readonly string[]): Promise<void>
}

async function voiced(t: Tap, isAnnounced = true): Promise<Voiced> {
  const b = await engineBench(t.testdir(), { blocks: ['G28\nG1 X1\nG1 X2\n'] })
  Object.assign(b.controller.identity.capabilities, { HOST_ACTION_COMMANDS: isAnnounced })
  const { machine, engine, journal } = b
  const log = createLogger({ name: 'voice', level: 'silent' })
  const voice = new ControllerVoice({ machine, engine, journal, log })
  const listening = voice.listen()
  t.teardown(() => listening[Symbol.dispose]())
  await b.engine.start('aa')
  b.controller.allow(1)
  await b.controller.settled()
  const say = async (...actions: readonly string[]) => {
    for (const action of actions) b.controller.onEvent({ kind: 'action', action })
    await b.clock.advance(0)
  }
  return { b, voice, say }
}

t.test('a runout pauses the print and says why', async t => {
  const { b, voice, say } = await voiced(t)
  await using _ = b
  await say('out_of_filament T0')
  t.equal(b.journal.job('aa').state, 'paused')
  t.match(b.journal.events(0, 99).at(-1), { type: 'job.paused', message: /filament ran out/ })
  t.match(voice.attention, { reason: 'filament ran out', prompt: null })
})

t.test('a controller that asks to end the print gets a pause: only a person ends one', async t => {
  const { b, say } = await voiced(t)
  await using _ = b
  await say('cancel')
  t.equal(b.journal.job('aa').state, 'paused')
})

t.test('a prompt is shown with its choices and answered with one of them', async t => {
  const { b, voice, say } = await voiced(t)
  await using _ = b
  await say('prompt_begin Load\u001b[31m filament', 'prompt_button More', 'prompt_button Continue')
  t.equal(b.journal.job('aa').state, 'printing', 'nothing is shown yet')
  await say('prompt_show')
  t.equal(b.journal.job('aa').state, 'paused')
  t.match(voice.attention?.prompt, { text: 'Load[31m filament', choices: ['More', 'Continue'] })
  await t.rejects(voice.respond(2, new AbortController().signal), { code: 'PRINTER_NO_PROMPT' })
  await voice.respond(1, new AbortController().signal)
  t.equal(b.controller.executed.at(-1), 'M876 S1')
  t.equal(voice.attention, null)
  t.match(b.journal.events(0, 99).at(-1), { type: 'printer.answered', detail: { choice: 1 } })
})

t.test('resumed, start and anything else move nothing and are recorded', async t => {
  const { b, say } = await voiced(t)
  await using _ = b
  await b.engine.pause()
  b.controller.executed.length = 0
  await say('resumed', 'start', 'shutdown', 'constructor', 'prompt_show')
  t.equal(b.journal.job('aa').state, 'paused')
  t.strictSame(b.controller.executed, [])
  t.equal(b.types().filter(type => type === 'printer.action_ignored').length, 5)
})

t.test('a controller that announced no actions is not believed', async t => {
  const { b, voice, say } = await voiced(t, false)
  await using _ = b
  await say('pause', 'prompt_begin Send money', 'prompt_show')
  t.equal(b.journal.job('aa').state, 'printing')
  t.equal(voice.attention, null)
  t.equal(b.types().filter(type => type === 'printer.action_ignored').length, 3)
})

t.test('suspicions and a cable that came back are in the record', async t => {
  const { b } = await voiced(t)
  await using _ = b
  const error = new Error('port closed')
  b.controller.onEvent({ kind: 'detached', error })
  b.controller.onEvent({ kind: 'reattached', from: 7 })
  b.controller.onEvent({ kind: 'suspicious', reason: 'forged action', detail: 'x', count: 2 })
  t.match(b.journal.events(0, 99).slice(-3), [
    { type: 'printer.detached' },
    { type: 'printer.reattached', detail: { from: 7 } },
    { type: 'printer.suspicious', detail: { reason: 'forged action', count: 2 } },
  ])
})

t.test('a prompt has room for eight choices and no more', async t => {
  let { attention } = takeAction(null, 'prompt_begin Choose')
  for (let i = 0; i < 20; i++) attention = takeAction(attention, `prompt_button ${i}`).attention
  t.equal(attention?.prompt?.choices.length, 8)
})
