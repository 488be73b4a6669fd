/** A stick that is a directory, with the journal, the spool and the clock of the core it is put into. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Test as Tap } from 'tap'
import { Stick, type StickPorts } from '../../firmware/core/intake/stick.ts'
import { Journal } from '../../firmware/core/journal/journal.ts'
import { Spool, type SpoolLimits } from '../../firmware/core/spool.ts'
import { type FakeClock, fakeClock } from './core-clock.ts'

export const SETTLE_MS = 1_000
export const never = new AbortController().signal

export interface Mount extends Disposable {
  readonly directory: string
  readonly spoolDirectory: string
  readonly journal: Journal
  readonly spool: Spool
  readonly clock: FakeClock
  readonly stick: Stick
  /** Looks twice, far enough apart for what lies there to have settled. */
  look(): Promise<void>
  put(name: string, content?: string): Promise<string>
  events(): readonly string[]
}

export async function mount(
  test: Tap,
  options: { limits?: Partial<SpoolLimits>; openSource?: StickPorts['openSource'] } = {},
): Promise<Mount> {
  const home = test.testdir({ stick: {} })
  const directory = join(home, 'stick')
  const spoolDirectory = join(home, 'spool')
  const clock = fakeClock()
  const journal = new Journal({
    path: join(home, 'journal'),
    stamp: () => ({ atMs: clock.wallMs(), quality: 'rtc' }),
  })
  const limits = { maxBytes: 1000, maxFileBytes: 500, reserveBytes: 0, ...options.limits }
  const spool = await Spool.open(spoolDirectory, limits)
  let ids = 0
  const ports: StickPorts = {
    clock,
    journal,
    spool,
    newId: () => `0000000${++ids}`,
    onReceived: () => undefined,
    ...(options.openSource ? { openSource: options.openSource } : {}),
  }
  const stick = new Stick(directory, SETTLE_MS, ports)
  return {
    directory,
    spoolDirectory,
    journal,
    spool,
    clock,
    stick,
    async look() {
      await stick.scan(never)
      await clock.advance(SETTLE_MS)
      await stick.scan(never)
    },
    async put(name, content = 'sealed bytes') {
      const path = join(directory, name)
      await writeFile(path, content)
      return path
    },
    events: () => journal.events(0, 1000).map(({ type }) => type),
    [Symbol.dispose]: () => journal[Symbol.dispose](),
  }
}
