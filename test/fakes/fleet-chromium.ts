/** Debian's Chromium, headless, driven by the DevTools protocol over its debugging pipe: one page, asked by expressions. */
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Readable, Writable } from 'node:stream'

export const hasChromium = spawnSync('chromium', ['--version']).status === 0

export interface Page extends AsyncDisposable {
  open(url: string): Promise<void>
  /** Resolves with what the expression, or its promise, is. */
  evaluate(expression: string): Promise<unknown>
}

interface Message {
  readonly id?: number
  readonly result?: Record<string, unknown>
  readonly error?: { readonly message: string }
}

export async function startChromium(): Promise<Page> {
  const profile = await mkdtemp(join(tmpdir(), 'fleet-chromium-'))
  const child = spawn(
    'chromium',
    [
      ...['--headless=new', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage'],
      ...['--ignore-certificate-errors', '--remote-debugging-pipe', `--user-data-dir=${profile}`],
      'about:blank',
    ],
    { stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'] },
  )
  const [, , , input, output] = child.stdio as unknown as [null, null, null, Writable, Readable]
  const waiting = new Map<number, PromiseWithResolvers<Record<string, unknown>>>()
  let text = ''
  output.setEncoding('utf8').on('data', (chunk: string) => {
    const messages = (text + chunk).split('\0')
    text = messages.pop() ?? ''
    for (const line of messages) {
      const { id, result, error } = JSON.parse(line) as Message
      if (id === undefined) continue
      if (error) waiting.get(id)?.reject(new Error(error.message))
      else waiting.get(id)?.resolve(result ?? {})
      waiting.delete(id)
    }
  })
  let last = 0
  const send = (method: string, params: object, sessionId?: unknown) => {
    const answer = Promise.withResolvers<Record<string, unknown>>()
    waiting.set(++last, answer)
    input.write(`${JSON.stringify({ id: last, method, params, sessionId })}\0`)
    return answer.promise
  }
  const { targetId } = await send('Target.createTarget', { url: 'about:blank' })
  const { sessionId } = await send('Target.attachToTarget', { targetId, flatten: true })
  return {
    open: async url => void (await send('Page.navigate', { url }, sessionId)),
    async evaluate(expression) {
      const params = { expression, awaitPromise: true, returnByValue: true }
      const { result } = await send('Runtime.evaluate', params, sessionId)
      return (result as { readonly value?: unknown }).value
    },
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL')
      await once(child, 'exit')
      await rm(profile, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 })
    },
  }
}
