/** Hardware and system facts, once at birth: a child process, because reading them stalls for seconds (CLOUD 0.6). */

import { fork } from 'node:child_process'
import { once } from 'node:events'
import { z } from 'zod'

const inventorySchema = z.object({
  system: z.string(),
  model: z.string(),
  cpu: z.string(),
  cores: z.number(),
  os: z.string(),
  kernel: z.string(),
  memoryBytes: z.number(),
})
export type Inventory = z.infer<typeof inventorySchema>

const TIMEOUT_MS = 20_000

/** The inventory, or undefined when it could not be taken in time. */
export async function takeInventory(signal: AbortSignal): Promise<Inventory | undefined> {
  const limit = AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)])
  const child = fork(new URL(import.meta.resolve('#program/inventory')), [], {
    stdio: 'ignore',
    env: {},
  })
  try {
    const [message] = (await once(child, 'message', { signal: limit })) as [unknown]
    return inventorySchema.safeParse(message).data
  } catch {
    return undefined
  } finally {
    child.kill('SIGKILL')
  }
}
