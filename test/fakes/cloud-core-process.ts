/** A desk core as a process of its own, to be killed: records an event at every turn, numbered by what it has durably. */
import { setTimeout as wait } from 'node:timers/promises'
import { loadConfig } from '#config'
import { startDeskCore } from './cloud-bench.ts'

const [file = '', count = '0', everyMs = '5'] = process.argv.slice(2)
const config = await loadConfig(file)
const core = await startDeskCore({ config })
const past = core.journal.events(0, 1_000_000).filter(({ type }) => type === 'job.received').length
for (let i = past; i < Number(count); i++) {
  core.journal.record({ type: 'job.received', message: 'traffic' })
  await wait(Number(everyMs))
}
process.stdout.write('all recorded\n')
await wait(3_600_000)
