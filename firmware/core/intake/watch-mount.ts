/** When to look at a mount: at once when the kernel says that something changed, and at intervals in any case. */

import { type FSWatcher, watch } from 'node:fs'
import { stat } from 'node:fs/promises'
import type { Clock } from '#lib/clock.ts'
import type { Stick } from './stick.ts'

/** A file being written tells of each write; looking more often than this tells nothing new. */
const QUIET_MS = 100

export interface WatchOptions {
  readonly directory: string
  readonly pollIntervalMs: number
  readonly clock: Clock
}

/**
 * Scans until the signal aborts. Polling stays on beside inotify: mounting a stick over the directory
 * is no event of the directory that was watched, and some file systems tell nothing.
 */
export async function watchMount(
  stick: Stick,
  options: WatchOptions,
  signal: AbortSignal,
): Promise<void> {
  const { directory, pollIntervalMs, clock } = options
  using notifier = new ChangeNotifier(directory)
  while (!signal.aborted) {
    await notifier.renew()
    await stick.scan(signal)
    await clock.sleep(QUIET_MS, signal)
    await sleepUnlessChanged(notifier, clock, pollIntervalMs - QUIET_MS, signal)
  }
}

async function sleepUnlessChanged(
  notifier: ChangeNotifier,
  clock: Clock,
  ms: number,
  signal: AbortSignal,
): Promise<void> {
  const woken = new AbortController()
  using _ = notifier.onChange(() => woken.abort())
  await clock.sleep(Math.max(ms, 0), AbortSignal.any([signal, woken.signal])).catch(() => undefined)
  signal.throwIfAborted()
}

/** Watches what is mounted at a path now; silent when nothing can be watched. */
class ChangeNotifier implements Disposable {
  readonly #directory: string
  #watched = ''
  #watcher: FSWatcher | undefined
  #listener: (() => void) | undefined
  #hasChanged = false

  constructor(directory: string) {
    this.#directory = directory
  }

  /** Watches anew when the path has become another directory: a stick was mounted or left. */
  async renew(): Promise<void> {
    const now = await stat(this.#directory).catch(() => undefined)
    const identity = now ? `${now.dev}:${now.ino}` : ''
    if (identity === this.#watched) return
    this.#close()
    this.#watched = identity
    if (identity === '') return
    try {
      this.#watcher = watch(this.#directory, () => this.#changed())
      this.#watcher.on('error', () => this.#close())
    } catch {
      this.#watcher = undefined // no inotify here or none left: polling alone
    }
  }

  /** `listener` is called once: at once when something changed since the last time, else when it does. */
  onChange(listener: () => void): Disposable {
    this.#listener = listener
    if (this.#hasChanged) this.#changed()
    return {
      [Symbol.dispose]: () => {
        this.#listener = undefined
      },
    }
  }

  [Symbol.dispose](): void {
    this.#close()
  }

  #changed(): void {
    const listener = this.#listener
    this.#hasChanged = listener === undefined
    this.#listener = undefined
    listener?.()
  }

  #close(): void {
    this.#watcher?.close()
    this.#watcher = undefined
    this.#watched = ''
  }
}
