/** One direction of a serial cable: hands bytes over when they have crossed it, no sooner and hardly later. */

export interface Wire {
  /** Takes ownership of `bytes`. */
  push(bytes: Buffer): void
  close(): void
}

/** Start, eight data and stop bit. */
const BITS_PER_BYTE = 10
const MS_PER_S = 1000
const LINE_FEED = 0x0a
/** A timer may be this late, which is many bytes: the end of a wait is spent turn by turn of the event loop. */
const TIMER_SLACK_MS = 2

/** A wire of `baud` bits a second; 0 delivers at once. */
export function createWire(baud: number, deliver: (bytes: Buffer) => void): Wire {
  if (baud === 0) return { push: deliver, close: () => undefined }
  const msPerByte = (BITS_PER_BYTE * MS_PER_S) / baud
  let waiting: Buffer = Buffer.alloc(0)
  /** When the last byte delivered had crossed; the next one follows it without a gap as long as there is one. */
  let crossedMs = 0
  let cancel: (() => void) | undefined

  const wait = (): void => {
    // Whoever listens acts on whole lines: nothing is missed by sleeping until the next one ends.
    const lineBytes = waiting.indexOf(LINE_FEED) + 1 || waiting.length
    const sleepMs = crossedMs + lineBytes * msPerByte - performance.now() - TIMER_SLACK_MS
    if (sleepMs >= 1) {
      const timer = setTimeout(tick, sleepMs)
      cancel = () => clearTimeout(timer)
    } else {
      const immediate = setImmediate(tick)
      cancel = () => clearImmediate(immediate)
    }
  }
  const tick = (): void => {
    cancel = undefined
    const count = Math.min(Math.floor((performance.now() - crossedMs) / msPerByte), waiting.length)
    crossedMs += count * msPerByte
    const crossed = waiting.subarray(0, count)
    waiting = waiting.subarray(count)
    if (waiting.length > 0) wait()
    if (count > 0) deliver(crossed)
  }
  return {
    push: bytes => {
      if (waiting.length === 0) crossedMs = Math.max(crossedMs, performance.now())
      waiting = waiting.length === 0 ? bytes : Buffer.concat([waiting, bytes])
      if (!cancel) wait()
    },
    close: () => {
      cancel?.()
      cancel = undefined
      waiting = Buffer.alloc(0)
    },
  }
}
