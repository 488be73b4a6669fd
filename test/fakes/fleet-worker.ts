/** An ingest worker as a process of its own, to be killed: as `fleet serve`, and it notes each message it takes in a file. */
import { appendFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseEndpoint } from '#cloud'
import { systemClock } from '#lib/clock.ts'
import { Ingest } from '../../fleet/ingest.ts'
import { FleetStore } from '../../fleet/store.ts'
import { openTenant } from '../../fleet/tenant.ts'

const [directory = '', broker = '', worker = ''] = process.argv.slice(2)

class NotingIngest extends Ingest {
  override async take(topic: string, payload: Uint8Array): Promise<void> {
    appendFileSync(join(directory, `${worker}.taken`), `${topic}\n`)
    await super.take(topic, payload)
  }
}

const tenant = await openTenant(directory)
const ingest = new NotingIngest({
  ...{ tenant, clock: systemClock, random: Math.random, worker },
  store: new FleetStore(join(directory, 'fleet.sqlite')),
  endpoints: [parseEndpoint(broker)],
  ca: tenant.authority.certPem,
  witness: await tenant.key('witness'),
})
await ingest.run(new AbortController().signal)
