/** Signed commands on their way to the core: handed over as they come, answered as they end, and kept for a core that is away or died over them. */

import { z } from 'zod'
import { type CommandStatement, commandSchema } from '#lib/command-statement.ts'
import type { CourierMethods } from '#lib/courier-protocol.ts'
import { unverifiedStatement } from '#lib/dsse.ts'
import { TaskGroup } from '#lib/task-group.ts'
import { unlessAborted } from '#lib/unless-aborted.ts'
import type { CoreClient } from './core-client.ts'
import type { CourierState } from './courier.ts'
import { CloudError } from './errors.ts'
import { isStored, untilStored } from './stored.ts'

/** What fits into a request to the core, which ends the connection over a longer one. */
const MAX_ENVELOPE_BYTES = 32 * 1024
/** Each costs the core a signature to check and one to make: more than this are no fleet end's, and are dropped. */
const MOST_PER_MINUTE = 120
const MINUTE_MS = 60_000
/** More are dropped; who sent them sends them again. */
const MOST_WAITING = 16
/** A command that takes longer is written down, and the messages behind it go on. A flood of quick ones does not wear out the disk. */
const SOON_MS = 1000
const KEPT = 'commands-kept'
/** The highest counter of each issuer among commands that were the courier's to carry out. */
const BEGUN = 'commands-begun'
const countersSchema = z.record(z.string(), z.int())

type Core = Pick<CoreClient, 'request' | 'isEnded'>
type Answer = CourierMethods['command.execute']['result']
type Shared = Pick<CourierState, 'outbox'> & {
  readonly sender: Pick<CourierState['sender'], 'added'>
  readonly ports: Pick<CourierState['ports'], 'log' | 'clock'>
}

interface Waiting {
  /** Base64. */
  readonly envelope: string
  /** Resolved once it has its answer, or the core that was asked is gone. */
  readonly asked: PromiseWithResolvers<void>
  /** To be written down until it has its answer. */
  isKept: boolean
}

export class Commands {
  readonly #state: Shared
  readonly #onHandedOver: (verb: string, args: CommandStatement['args']) => void
  /** Not answered yet, as they came. */
  #waiting: readonly Waiting[]
  #news = Promise.withResolvers<void>()
  #isServed = false
  #minute = { sinceMs: Number.NEGATIVE_INFINITY, taken: 0 }

  /** `onHandedOver` writes down what is the courier's to do: in one transaction with the answer. @throws CloudError CLOUD_STORE */
  constructor(state: Shared, onHandedOver: (verb: string, args: CommandStatement['args']) => void) {
    this.#state = state
    this.#onHandedOver = onHandedOver
    this.#waiting = keptIn(state.outbox).map(envelope => waiting(envelope, true))
  }

  /**
   * Resolves when it is answered or kept: before that the broker has not been told that it arrived.
   * @throws CloudError CLOUD_FLOOD, CLOUD_MALFORMED when it was dropped
   */
  async take(bytes: Uint8Array): Promise<void> {
    this.#expectRoom()
    if (bytes.length > MAX_ENVELOPE_BYTES)
      throw new CloudError('CLOUD_MALFORMED', `a command of ${bytes.length} bytes`)
    const envelope = Buffer.from(bytes).toString('base64')
    if (this.#waiting.some(each => each.envelope === envelope)) return
    if (this.#waiting.length >= MOST_WAITING)
      throw new CloudError('CLOUD_FLOOD', `${MOST_WAITING} commands wait for the core already`)
    const command = waiting(envelope, false)
    this.#waiting = [...this.#waiting, command]
    this.#news.resolve()
    if (this.#isServed) await this.#soon(command)
    if (this.#waiting.includes(command)) this.#keep(command)
  }

  /**
   * Hands over what waits, in the order it came, and does not wait for one answer before it asks for the next: what waits for
   * what is the core's to know. What an earlier connection did not answer is asked again; the core counts it once.
   */
  async run(core: Core, signal: AbortSignal): Promise<void> {
    await using tasks = new TaskGroup(signal)
    const asked = new WeakSet<Waiting>()
    this.#isServed = true
    try {
      while (!tasks.signal.aborted) {
        this.#news = Promise.withResolvers()
        for (const command of this.#waiting.filter(each => !asked.has(each))) {
          asked.add(command)
          tasks.start(taskSignal => this.#ask(core, command, taskSignal))
        }
        await unlessAborted(this.#news.promise, tasks.signal).catch(() => undefined)
      }
      await tasks.settled()
    } finally {
      this.#isServed = false
    }
  }

  async #ask(core: Core, command: Waiting, signal: AbortSignal): Promise<void> {
    const { sender, ports } = this.#state
    try {
      const { envelope } = command
      const answer = await unlessAborted(core.request('command.execute', { envelope }), signal)
      await untilStored(() => this.#conclude(command, answer), ports.clock, signal)
      sender.added()
    } catch (error) {
      const isOfCore = error instanceof CloudError && error.code === 'CLOUD_CORE'
      if (signal.aborted || !isOfCore) throw error
      ports.log.warn({ err: error }, 'command not answered')
      // What it cannot even answer is dropped: it would stand in the way for ever.
      if (!core.isEnded) await untilStored(() => this.#conclude(command), ports.clock, signal)
    } finally {
      command.asked.resolve()
    }
  }

  /** The answer, what follows from it, and that it is kept no more: all of it or nothing. */
  #conclude(command: Waiting, answer?: Answer): void {
    const { outbox } = this.#state
    const others = this.#waiting.filter(each => each !== command)
    outbox.atomically(() => {
      if (answer) outbox.append('resp', [Buffer.from(answer.result, 'base64')])
      if (answer?.verb && this.#isFirst(command)) this.#onHandedOver(answer.verb, answer.args)
      if (command.isKept) this.#write(others)
    })
    this.#waiting = others
  }

  /** A broker may say it again, and the core then answers as before: what is ours to do is begun once, by the counter. */
  #isFirst({ envelope }: Waiting): boolean {
    const { outbox } = this.#state
    const { iss, ctr } = commandSchema.parse(unverifiedStatement(Buffer.from(envelope, 'base64')))
    const counters = countersSchema.parse(JSON.parse(outbox.fact(BEGUN) ?? '{}'))
    if (ctr <= (counters[iss] ?? 0)) return false
    outbox.setFact(BEGUN, JSON.stringify({ ...counters, [iss]: ctr }))
    return true
  }

  async #soon({ asked }: Waiting): Promise<void> {
    const over = new AbortController()
    const late = this.#state.ports.clock.sleep(SOON_MS, over.signal).catch(() => undefined)
    await Promise.race([asked.promise, late])
    over.abort()
  }

  /** While the disk is full it is kept in memory alone; whoever sent it, and has no answer, sends it again. */
  #keep(command: Waiting): void {
    command.isKept = true
    isStored(() => this.#write(this.#waiting))
  }

  #write(commands: readonly Waiting[]): void {
    const envelopes = commands.filter(({ isKept }) => isKept).map(({ envelope }) => envelope)
    this.#state.outbox.setFact(KEPT, JSON.stringify(envelopes))
  }

  #expectRoom(): void {
    const nowMs = this.#state.ports.clock.nowMs()
    if (nowMs - this.#minute.sinceMs > MINUTE_MS) this.#minute = { sinceMs: nowMs, taken: 0 }
    this.#minute.taken += 1
    if (this.#minute.taken > MOST_PER_MINUTE)
      throw new CloudError('CLOUD_FLOOD', `more than ${MOST_PER_MINUTE} commands within a minute`)
  }
}

function waiting(envelope: string, isKept: boolean): Waiting {
  return { envelope, isKept, asked: Promise.withResolvers() }
}

function keptIn(outbox: CourierState['outbox']): readonly string[] {
  const text = outbox.fact(KEPT)
  if (text === undefined) return []
  const { data } = z.array(z.base64()).safeParse(JSON.parse(text))
  if (data === undefined) throw new CloudError('CLOUD_STORE', 'kept commands cannot be read')
  return data
}
