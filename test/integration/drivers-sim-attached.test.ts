/** A simulated board does not outlive who started it, however that one ended, and hangs on no host that reads nothing. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, createReadStream, openSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { test } from 'tap'
import { openPty } from '../../drivers/sim/pty.ts'

const PROGRAM = fileURLToPath(new URL('../../drivers/sim/main.ts', import.meta.url))

test('it ends with its standard input, and says what it counted', async t => {
  const child = spawn(process.execPath, [PROGRAM, '--attached'], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  t.match(JSON.parse(String((await lines.next()).value)), { port: /^\/dev\// })
  child.stdin.end()
  const exited = once(child, 'exit')
  t.match(JSON.parse(String((await lines.next()).value)), { executed: 0 })
  t.same(await exited, [0, null])
})

test('what a host does not read is kept for it, and then dropped, and nobody waits', async t => {
  const pty = openPty()
  const host = openSync(pty.path, 'r+')
  const chunk = Buffer.from('0123456789abcdef'.repeat(256))
  for (let chunks = 0; chunks < 1_000; chunks++) pty.write(chunk)
  let kept = ''
  for await (const bytes of createReadStream('', { fd: host, autoClose: false })) {
    kept += bytes.toString('latin1')
    if (kept.length >= 16 * chunk.length) break
  }
  t.ok(chunk.toString('latin1').repeat(32).startsWith(kept))
  pty.close()
  closeSync(host)
})
