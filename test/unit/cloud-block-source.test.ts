/** Where blocks are asked for, when the server an offer names only keeps a line open. */
import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'
import { test } from 'tap'
import { BlockSource, MOST_DOWNLOADS } from '../../firmware/cloud/block-source.ts'
import type { OfferStatement } from '../../firmware/cloud/wire.ts'

test('a server that never answers gathers no downloads, and is given up by name when it goes', async t => {
  const sockets = new Set<Socket>()
  const server = createServer(socket => {
    sockets.add(socket)
    socket.on('error', () => undefined)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  const address = server.address()
  const port = typeof address === 'object' && address ? address.port : 0
  const failed = Promise.withResolvers<string>()
  const asked: unknown[] = []
  using source = new BlockSource({
    identity: () => ({ cert: '', key: '' }),
    ca: async () => '',
    publish: async request => asked.push(request) > 0,
    take: async () => true,
    onFailed: ({ code }) => failed.resolve(code),
  })
  const offer = { offer: 'offer-1', url: `https://localhost:${port}/file` } as OfferStatement
  for (let times = 0; times < MOST_DOWNLOADS; times += 1) t.ok(await source.ask([[0, 1024]], offer))
  for (let times = 0; times < 100; times += 1) t.notOk(await source.ask([[0, 1024]], offer))
  t.same(asked, [], 'not over the broker either while the server may still answer')
  while (sockets.size === 0) await once(server, 'connection')
  server.close()
  for (const socket of sockets) socket.destroy()
  t.equal(await failed.promise, 'CLOUD_UNREACHABLE')
  t.ok(await source.ask([[0, 1024]], offer))
  t.equal(asked.length, 1, 'over the broker from then on')
})
