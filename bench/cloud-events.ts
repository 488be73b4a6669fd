/** Row C1: events of one printer, from its outbox to the fleet end's store and back as an acknowledgement. */

import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { connectAsync, UniqueMessageIdProvider } from 'mqtt'
import { topicOf } from '#cloud'
import { IdentityStore } from '../firmware/cloud/identity.ts'
import {
  type Fleet,
  fleet,
  type Printer,
  printer,
  startDeskCore,
} from '../test/fakes/cloud-bench.ts'
import {
  OutboxView,
  startCourierProcess,
  startIngestProcess,
} from '../test/fakes/link-processes.ts'
import { type LinkProxy, startLinkProxy } from '../test/fakes/link-proxy.ts'
import { type BenchContext, median, type Row } from './row.ts'

const EVENTS = 20_000
const MANY_EVENTS = 100_000
const RTT_MS = 50
/** Serial replay at 50 ms takes 50 ms each: enough of them to see the rate. */
const PEER_SLOW_EVENTS = 200
const OWED_PER_S = 2000
const OWED_RECOVERY_S = 60
const LOOK_MS = 20
const MS_PER_S = 1000
/** What an OCSF event weighs (CLOUD 4.4). */
const PEER_EVENT = JSON.stringify('e'.repeat(800))

export async function* eventRows({
  runs,
  programs,
  say,
}: BenchContext): AsyncGenerator<Row, void, void> {
  await using on = await fleet('mosquitto')
  await using line = await startLinkProxy(on.broker.port, { random: Math.random })
  const desk = await printer(on, 'P-1', { endpoints: [`mqtts://localhost:${line.port}`] })
  const peerDesk = await printer(on, 'P-2')
  await using core = await startDeskCore(desk)
  await using _ingest = startIngestProcess(on)
  const record = (count: number) => {
    for (let i = 0; i < count; i++) core.journal.record({ type: 'job.received', message: 'bench' })
  }

  const ours: number[] = []
  const peers: number[] = []
  for (let run = 0; run < runs; run++) {
    line.conditions = {}
    record(EVENTS)
    const { seconds, events } = await drain(desk, line, programs)
    ours.push(events / seconds)
    peers.push(EVENTS / (await replay(on, line, peerDesk, EVENTS)))
    say(
      `C1 run ${run + 1}: ${Math.round(ours.at(-1) ?? 0)}/s, mqtt.js ${Math.round(peers.at(-1) ?? 0)}/s`,
    )
  }
  yield {
    id: 'C1',
    what: 'events/s from the outbox to the signed acknowledgement, TLS, Mosquitto, 1 printer',
    peer: "mqtt.js's own replay of its queue, which only waits for the broker",
    ratio: median(ours) / median(peers),
    figure: `${Math.round(median(ours))}/s; mqtt.js ${Math.round(median(peers))}/s to the broker (${EVENTS} events, ${runs} runs)`,
    owed: `>= ${OWED_PER_S}/s`,
    isMet: median(ours) >= OWED_PER_S,
    note: 'proven, stored and cosigned at the fleet end; core, courier, broker and ingest share this machine',
  }

  line.conditions = { delayMs: RTT_MS / 2 }
  record(MANY_EVENTS)
  const { seconds, events } = await drain(desk, line, programs)
  const peerS = await replay(on, line, peerDesk, PEER_SLOW_EVENTS)
  yield {
    id: 'C1',
    what: `${MANY_EVENTS} queued events recovered at ${RTT_MS} ms round trip`,
    peer: "mqtt.js's own replay of its queue at the same round trip",
    ratio: events / seconds / (PEER_SLOW_EVENTS / peerS),
    figure: `${seconds.toFixed(1)} s, ${Math.round(events / seconds)}/s; mqtt.js ${(PEER_SLOW_EVENTS / peerS).toFixed(1)}/s over ${PEER_SLOW_EVENTS}`,
    owed: `<= ${OWED_RECOVERY_S} s`,
    isMet: seconds <= OWED_RECOVERY_S,
    note: 'from the first byte of the connection, its handshakes included, to the last acknowledgement; 1 run',
  }
}

/** Fills the outbox offline, then lets it go; seconds from the connection to the acknowledgement of all of it. */
async function drain(
  desk: Printer,
  line: LinkProxy,
  programs: string,
): Promise<{ readonly seconds: number; readonly events: number }> {
  line.isOffline = true
  await using filling = startCourierProcess(desk, programs)
  const { last, acked } = await filled(desk)
  await filling.kill()
  line.isOffline = false
  const beganMs = performance.now()
  await using _courier = startCourierProcess(desk, programs)
  using outbox = new OutboxView(desk)
  while (outbox.of('evt').acked < last) await sleep(LOOK_MS)
  const sinceMs = line.connectedAtMs ?? beganMs
  return { seconds: (performance.now() - sinceMs) / MS_PER_S, events: last - acked }
}

/** Until the courier has taken everything the core has: nothing new for a second. */
async function filled(desk: Printer): Promise<{ readonly last: number; readonly acked: number }> {
  const path = join(desk.config.cloud?.stateDirectory ?? '', 'outbox.sqlite')
  while (!existsSync(path)) await sleep(LOOK_MS)
  await sleep(2 * MS_PER_S)
  using outbox = new OutboxView(desk)
  for (let known = outbox.of('evt'); ; ) {
    await sleep(MS_PER_S)
    const now = outbox.of('evt')
    if (now.last === known.last && now.last > now.acked) return now
    known = now
  }
}

/** The same number of messages of an event's size, queued in mqtt.js while it is offline; seconds until the broker has all. */
async function replay(
  on: Fleet,
  line: LinkProxy,
  { directory }: Printer,
  count: number,
): Promise<number> {
  const identity = await new IdentityStore(`${directory}/identity`).current()
  if (!identity) throw new Error('the peer has no certificate')
  const client = await connectAsync(`mqtts://localhost:${line.port}`, {
    ...{ ca: on.tenant.authority.certPem, cert: identity.cert, key: identity.key },
    ...{ protocolVersion: 5, reconnectPeriod: 100, clientId: 'peer', resubscribe: false },
    messageIdProvider: new UniqueMessageIdProvider(),
  })
  line.isOffline = true
  while (client.connected) await sleep(LOOK_MS)
  const sent = Array.from({ length: count }, () =>
    client.publishAsync(topicOf('P-2', 'inv'), PEER_EVENT, { qos: 1 }),
  )
  const beganMs = performance.now()
  line.isOffline = false
  await Promise.all(sent)
  const seconds = (performance.now() - (line.connectedAtMs ?? beganMs)) / MS_PER_S
  await client.endAsync()
  return seconds
}
