/** The courier's line to a core that does not answer: whoever ends the courier does not wait for it. */
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'tap'
import { connectCore } from '../../firmware/cloud/core-client.ts'

test('a core that hangs is left at once, and what it was asked is rejected', async t => {
  // A socket's path is 107 bytes at most.
  const directory = await mkdtemp(join(tmpdir(), 'mpfd-'))
  const path = join(directory, 'socket')
  const sockets: Socket[] = []
  const server = createServer(socket => sockets.push(socket)).listen(path)
  await once(server, 'listening')
  t.teardown(async () => {
    for (const socket of sockets) socket.destroy()
    server.close()
    await rm(directory, { recursive: true, force: true })
  })
  const ending = new AbortController()
  const listener = { onEvent: () => undefined, onProgress: () => undefined }
  using core = await connectCore(path, listener, ending.signal)
  const asking = core.request('watch', {})
  ending.abort()
  await t.rejects(asking, { code: 'CLOUD_CORE' })
  await core.closed
  t.ok(core.isEnded)
})
