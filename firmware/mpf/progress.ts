/** Progress of long work, on standard error, only where a person watches. */

const MIN_INTERVAL_MS = 200
const MIB = 1_048_576

/** Returns a function to call with the bytes done so far (and, if known, in all). Writes nothing unless stderr is a terminal. */
export function createProgress(what: string): (doneBytes: number, allBytes?: number) => void {
  if (!process.stderr.isTTY) return () => {}
  let shownAtMs = Number.NEGATIVE_INFINITY
  process.once('exit', () => process.stderr.write('\r\x1b[K'))
  return (doneBytes, allBytes) => {
    const nowMs = performance.now()
    if (nowMs - shownAtMs < MIN_INTERVAL_MS) return
    shownAtMs = nowMs
    const percent = allBytes ? ` ${Math.floor((100 * doneBytes) / allBytes)} %` : ''
    process.stderr.write(`\r\x1b[K${what} ${(doneBytes / MIB).toFixed(1)} MiB${percent}`)
  }
}
