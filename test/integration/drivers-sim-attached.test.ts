/** A simulated board that is attached does not outlive who started it, however that one ended. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { test } from 'tap'

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
