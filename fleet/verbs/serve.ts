/** `fleet serve`: the worker that receives, sends blocks and, when asked to, enrols. */

import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseEndpoint } from '#cloud'
import { systemClock } from '#lib/clock.ts'
import { TaskGroup } from '#lib/task-group.ts'
import { FLEET } from '../broker-names.ts'
import { issueServer } from '../ca.ts'
import { startDownloadServer } from '../download-server.ts'
import { startEstServer } from '../est-server.ts'
import { Ingest } from '../ingest.ts'
import { sendBlocks } from '../jobs.ts'
import { Retention } from '../retention.ts'
import { openTenant } from '../tenant.ts'
import { Tokens } from '../tokens.ts'
import { expectNumber, openStore, say, type Verb } from '../verb.ts'

export const serve: Verb = {
  summary: 'receive, prove, acknowledge; send blocks; enrol',
  synopsis: [
    'serve --broker mqtts://HOST:PORT [--worker NAME] [--enrol PORT] [--region REGION] [--downloads PORT] [--keep-telemetry DAYS]',
  ],
  description: `Receives what the printers send, stores each item once, proves the log of each printer whole, cosigns its heads and
acknowledges. Any number of workers may share the directory of a tenant and a broker: each with its own --worker.

  --worker NAME   names this worker at the broker
  --enrol PORT    also answer enrolments (EST over HTTPS) on this port; 0 takes a free one
  --region REGION the region whose tokens count
  --downloads PORT also hand out offered files by HTTPS on this port (jobs send --url); 0 takes a free one
  --keep-telemetry DAYS   samples older than this go; 30 otherwise. Offers go after eight days, alerts beyond 200 of each code and printer;
                  events, answers and alarms stay`,
  run: async (values, _operands, signal) => {
    const tenant = await openTenant(values.tenant)
    await using stack = new AsyncDisposableStack()
    const store = stack.use(openStore(values))
    if (values.enrol !== undefined) {
      const est = await startEstServer({
        ...{ tenant, region: values.region, clock: systemClock, host: '0.0.0.0' },
        tokens: stack.use(new Tokens(join(values.tenant, 'tokens.sqlite'))),
        server: issueServer(tenant.authority, ['localhost', '127.0.0.1'], Date.now()),
        factoryCa: await readFile(join(values.tenant, 'factory-ca.pem'), 'utf8').catch(
          () => undefined,
        ),
        port: Number(values.enrol),
        onRefused: (error, serial) =>
          store.alert(serial || FLEET, Date.now(), error.code, error.message),
      })
      stack.use(est)
      say(`enrolment at https://localhost:${est.port}`)
    }
    if (values.downloads !== undefined) {
      const downloads = await startDownloadServer({
        ...{ tenant, store, clock: systemClock, host: '0.0.0.0' },
        server: issueServer(tenant.authority, ['localhost', '127.0.0.1'], Date.now()),
        port: expectNumber(values.downloads, 'downloads', [0, 65_535]),
      })
      stack.use(downloads)
      say(`downloads at https://localhost:${downloads.port}`)
    }
    const ingest = new Ingest({
      ...{ tenant, store, clock: systemClock, random: Math.random, worker: values.worker },
      endpoints: [parseEndpoint(values.broker)],
      ca: tenant.authority.certPem,
      witness: await tenant.key('witness'),
      onRequest: (device, payload, link) => sendBlocks(store, device, payload, link),
      onLink: link =>
        say(`receiving from ${link.endpoint}, MQTT ${link.protocol === 5 ? '5' : '3.1.1'}`),
    })
    const days = expectNumber(values['keep-telemetry'], 'keep-telemetry', [1, 36_500])
    const retention = stack.use(new Retention(join(values.tenant, 'fleet.sqlite'), days))
    // The first to fail ends the other before the store is closed.
    await using tasks = new TaskGroup(signal)
    tasks.start(taskSignal => ingest.run(taskSignal))
    tasks.start(taskSignal => retention.run(systemClock, taskSignal))
    await tasks.settled()
  },
}
