/** One direction of a serial cable: hands bytes over no faster than its baud rate. */

export interface Wire {
  /** Takes ownership of `bytes`. */
  push(bytes: Buffer): void
  close(): void
}

/** Start, eight data and stop bit. */
const BITS_PER_BYTE = 10
const TICK_MS = 1

/** A wire of `baud` bits a second; 0 delivers at once. */
export function createWire(baud: number, deliver: (bytes: Buffer) => void): Wire {
  if (baud === 0) return { push: deliver, close: () => undefined }
  const bytesPerMs = baud / BITS_PER_BYTE / 1000
  let waiting: Buffer = Buffer.alloc(0)
  let timer: NodeJS.Timeout | undefined
  let creditBytes = 0
  let lastMs = 0
  const tick = (): void => {
    const nowMs = performance.now()
    creditBytes += (nowMs - lastMs) * bytesPerMs
    lastMs = nowMs
    const count = Math.min(Math.floor(creditBytes), waiting.length)
    creditBytes -= count
    const ready = waiting.subarray(0, count)
    waiting = waiting.subarray(count)
    timer = waiting.length > 0 ? setTimeout(tick, TICK_MS) : undefined
    if (ready.length > 0) deliver(ready)
  }
  return {
    push: bytes => {
      waiting = waiting.length === 0 ? bytes : Buffer.concat([waiting, bytes])
      if (timer) return
      lastMs = performance.now()
      creditBytes = 0
      timer = setTimeout(tick, TICK_MS)
    },
    close: () => {
      clearTimeout(timer)
      waiting = Buffer.alloc(0)
    },
  }
}
