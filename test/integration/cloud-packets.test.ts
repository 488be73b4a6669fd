/** A broker that sends one packet without end is cut off within the first megabytes, in both protocols. */
import { createServer, type TLSSocket } from 'node:tls'
import { type Test, test } from 'tap'
import { openLink } from '../../firmware/cloud/mqtt-link.ts'
import { createAuthority, issueClient, issueServer } from '../../fleet/ca.ts'

const CONNACK = { 5: [0x20, 3, 0, 0, 0], 4: [0x20, 2, 0, 0] } as const
/** PUBLISH, QoS 0, remaining length 200 MiB, topic "t". */
const HEADER = [0x30, 0x80, 0x80, 0x80, 0x64, 0, 1, 0x74]
const PAYLOAD_BYTES = 200 * 1024 * 1024

async function floodingBroker(t: Test, protocol: 5 | 4) {
  const authority = createAuthority('test', Date.now())
  const { certPem, keyPem } = issueServer(authority, ['localhost'], Date.now())
  const chunk = Buffer.alloc(64 * 1024)
  const sent = { bytes: 0 }
  const flood = (socket: TLSSocket) => {
    while (!socket.destroyed && sent.bytes < PAYLOAD_BYTES) {
      sent.bytes += chunk.length
      if (!socket.write(chunk)) return
    }
  }
  const server = createServer({ cert: certPem, key: keyPem }, socket => {
    socket.on('error', () => socket.destroy())
    socket.on('drain', () => flood(socket))
    socket.once('data', () => {
      socket.write(Buffer.from([...CONNACK[protocol], ...HEADER]))
      flood(socket)
    })
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => server.close())
  const address = server.address()
  const port = typeof address === 'object' && address ? address.port : 0
  const client = issueClient(authority, 'P-1', Date.now())
  const identity = { cert: client.certPem, key: client.keyPem }
  return { port, sent, ca: authority.certPem, identity }
}

for (const protocol of [5, 4] as const)
  test(`a packet of 200 MiB is not taken into memory (MQTT ${protocol === 5 ? '5' : '3.1.1'})`, async t => {
    const { port, sent, ca, identity } = await floodingBroker(t, protocol)
    await using link = await openLink({
      ...{ host: 'localhost', port, ca, identity, protocol, clientId: 'P-1' },
      ...{ sessionExpiryS: 0, subscriptions: [], signal: new AbortController().signal },
      onMessage: async () => undefined,
    })
    const cause = await link.closed
    t.equal(cause?.code, 'CLOUD_MALFORMED')
    // What the broker could send before the cut: the bound, and what the two sockets hold.
    t.ok(sent.bytes < PAYLOAD_BYTES / 4, `${sent.bytes} bytes sent`)
    t.comment(`${sent.bytes} of ${PAYLOAD_BYTES} bytes left the broker`)
  })
