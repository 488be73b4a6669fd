/** Signed commands on their way to the core: handed over, answered, and kept for a core that is away or died over them. */

import { z } from 'zod'
import type { Slot } from '#lib/slot.ts'
import type { CoreClient } from './core-client.ts'
import type { CourierState } from './courier.ts'
import { CloudError } from './errors.ts'

/** What fits into a request to the core, which ends the connection over a longer one. */
const MAX_ENVELOPE_BYTES = 32 * 1024
/** Each costs the core a signature to check and one to make: more than this are no fleet end's, and are dropped. */
const MOST_PER_MINUTE = 120
const MINUTE_MS = 60_000
/** More are dropped; who sent them sends them again. A flood must not wear out the disk. */
const MOST_KEPT = 16
const KEPT = 'commands-kept'

type Core = Pick<CoreClient, 'request' | 'isEnded'>
type Shared = Pick<CourierState, 'outbox'> & {
  readonly core: Pick<Slot<Core>, 'value'>
  readonly sender: Pick<CourierState['sender'], 'added'>
  readonly ports: Pick<CourierState['ports'], 'log' | 'clock'>
}

export class Commands {
  readonly #state: Shared
  readonly #onAnswered: (verb: string | null) => void
  #minute = { sinceMs: Number.NEGATIVE_INFINITY, taken: 0 }

  /** `onAnswered`: the verb that is the courier's own to carry out, or null. */
  constructor(state: Shared, onAnswered: (verb: string | null) => void) {
    this.#state = state
    this.#onAnswered = onAnswered
  }

  /**
   * Resolves when it is answered or kept: before that the broker has not been told that it arrived. Behind what is kept already
   * it is kept too: counters only go up.
   * @throws CloudError CLOUD_FLOOD, CLOUD_MALFORMED when it was dropped
   */
  async take(envelope: Uint8Array): Promise<void> {
    this.#expectRoom()
    if (envelope.length > MAX_ENVELOPE_BYTES)
      throw new CloudError('CLOUD_MALFORMED', `a command of ${envelope.length} bytes`)
    const text = Buffer.from(envelope).toString('base64')
    const core = this.#state.core.value
    if (core && this.#kept().length === 0 && (await this.#handOver(core, text))) return
    const kept = this.#kept()
    if (kept.length < MOST_KEPT) this.#keep([...kept, text])
  }

  #expectRoom(): void {
    const nowMs = this.#state.ports.clock.nowMs()
    if (nowMs - this.#minute.sinceMs > MINUTE_MS) this.#minute = { sinceMs: nowMs, taken: 0 }
    this.#minute.taken += 1
    if (this.#minute.taken > MOST_PER_MINUTE)
      throw new CloudError('CLOUD_FLOOD', `more than ${MOST_PER_MINUTE} commands within a minute`)
  }

  /** The core is there again: what it did not answer is asked again. It counts a command once, however often it comes. */
  async coreConnected(core: Core): Promise<void> {
    for (let [text] = this.#kept(); text !== undefined; [text] = this.#kept()) {
      const asked = text
      if (!(await this.#handOver(core, asked))) return
      this.#keep(this.#kept().filter(each => each !== asked))
    }
  }

  /** False when the core went away over it. What it cannot even answer is dropped: it would stand in the way for ever. */
  async #handOver(core: Core, envelope: string): Promise<boolean> {
    const { outbox, sender, ports } = this.#state
    try {
      const answer = await core.request('command.execute', { envelope })
      outbox.append('resp', [Buffer.from(answer.result, 'base64')])
      sender.added()
      if (answer.verb === 'log.export') await this.#export(core, answer.args)
      this.#onAnswered(answer.verb)
      return true
    } catch (error) {
      if (!(error instanceof CloudError) || error.code !== 'CLOUD_CORE') throw error
      ports.log.warn({ err: error }, 'command not answered')
      return !core.isEnded
    }
  }

  /** Signed segments into the outbox; the core has checked the range. */
  async #export(core: Core, args: unknown): Promise<void> {
    const { outbox, sender } = this.#state
    const { from, to } = z.object({ from: z.int(), to: z.int() }).parse(args)
    for (let next = from; next <= to; ) {
      const segment = await core.request('log.segment', { from: next, to })
      outbox.append('seg', [Buffer.from(segment.envelope, 'base64')])
      sender.added()
      next = segment.to + 1
    }
  }

  #kept(): readonly string[] {
    const text = this.#state.outbox.fact(KEPT)
    if (text === undefined) return []
    const { data } = z.array(z.base64()).safeParse(JSON.parse(text))
    if (data === undefined) throw new CloudError('CLOUD_STORE', 'kept commands cannot be read')
    return data
  }

  #keep(envelopes: readonly string[]): void {
    this.#state.outbox.setFact(KEPT, JSON.stringify(envelopes))
  }
}
