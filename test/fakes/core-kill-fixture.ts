/** A core that prints what is on its stick and kills itself, without warning, right after its n-th journal step (0: prints slowly and waits to be killed). What an earlier life left interrupted it resumes. */
import { closeSync, openSync, writeSync } from 'node:fs'
import { loadConfig } from '#config'
import { systemClock } from '#lib/clock.ts'
import { startCore } from '../../firmware/core/core.ts'
import { alone, fakeController } from './core-controller.ts'
import { desktopPorts, untilEvent } from './core-printer.ts'

const [, , configFile = '', executedFile = '', lastStep = '0'] = process.argv

const config = await loadConfig(configFile)
const executed = openSync(executedFile, 'a')
const controller = fakeController()
if (lastStep === '0') setInterval(() => controller.allow(3), 1).unref()
else controller.allow()
let steps = 0
/** To be killed at chance, progress is kept often. */
const pace = lastStep === '0' ? 50 : 1

await using core = await startCore(
  { ...config, usb: { ...config.usb, autoStart: 'start' } },
  desktopPorts(
    async onEvent => {
      controller.onEvent = event => {
        if (event.kind === 'acked') writeSync(executed, `${event.line}\n`)
        onEvent(event)
      }
      return alone(controller)
    },
    {
      clock: { ...systemClock, nowMs: () => systemClock.nowMs() * pace },
      journalObserver: {
        step() {
          steps += 1
          if (steps === Number(lastStep)) process.kill(process.pid, 'SIGKILL')
        },
      },
    },
  ),
  new AbortController().signal,
)
const [cutOff] = core.journal.jobs(['interrupted'])
if (cutOff) {
  const { machine } = core
  while (!machine.isConnected) await new Promise(resolve => setImmediate(resolve))
  await core.engine.resume()
}
await untilEvent(core.journal, ({ type }) => /job\.(done|failed)|refused/.test(type))
closeSync(executed)
process.stdout.write(`${JSON.stringify({ steps })}\n`)
