/** Waits for something that knows no signal, as long as nobody has given up. */

/** What `work` comes to. Rejects with `signal.reason` as soon as it aborts; `work` then goes on unheard. */
export async function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const gone = Promise.withResolvers<never>()
  const onAbort = () => gone.reject(signal.reason)
  if (signal.aborted) onAbort()
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    return await Promise.race([gone.promise, work])
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}
