/** How a program of ours is told to end. */

/** Aborts with the first SIGTERM or SIGINT: finish in order. The second ends the process at once, with `status`. */
export function endOnSignals(status: number): AbortSignal {
  const ending = new AbortController()
  const onSignal = (signal: NodeJS.Signals) => {
    if (ending.signal.aborted) process.exit(status)
    ending.abort(new DOMException(`ended by ${signal}`, 'AbortError'))
  }
  process.on('SIGTERM', onSignal)
  process.on('SIGINT', onSignal)
  return ending.signal
}
