/** Bounds on anything asked of a machine that may never answer. */

import type { Clock } from '#lib/clock.ts'

/** Runs `body` with a signal that aborts with `limit()` after `ms`, or with the parent's reason. */
export async function withTimeLimit<T>(
  clock: Clock,
  ms: number,
  parent: AbortSignal,
  limit: () => Error,
  body: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const done = new AbortController()
  const late = new AbortController()
  const timer = clock.sleep(ms, done.signal).then(
    () => late.abort(limit()),
    () => undefined,
  )
  try {
    return await body(AbortSignal.any([parent, late.signal]))
  } finally {
    done.abort()
    await timer
  }
}

/** Resolves with the promise; rejects with the signal's reason if that is first. */
export async function waitFor<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  const aborted = Promise.withResolvers<never>()
  const onAbort = () => aborted.reject(signal.reason)
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    if (signal.aborted) onAbort()
    return await Promise.race([promise, aborted.promise])
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}
