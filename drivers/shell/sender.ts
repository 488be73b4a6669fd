/** The mouth of a conversation: writes what the outbox lets go, when the kernel takes it and a port is there. */
import type { Clock } from '#lib/clock.ts'
import type { SerialLink } from '../serial-link.ts'
import { inFlightLines, type SendWindow } from '../window/send-window.ts'
import type { Outbox } from './outbox.ts'
import type { Owner } from './ticket.ts'

export interface SenderOptions {
  readonly window: SendWindow<Owner>
  readonly outbox: Outbox
  readonly link: SerialLink
  readonly clock: Clock
  /** Called before lines are looked for. */
  readonly onPump: () => void
  /** Lines are about to be written although none was in flight. */
  readonly onResumed: () => void
}

/** Writes whole lines only, all that may go in one write. */
export class Sender {
  readonly #options: SenderOptions
  #link: SerialLink | undefined
  #isWritable = true
  #isPumping = false
  #isPumpDue = false
  #isPaused = false
  #isEnded = false
  /** When the last lines were handed to the kernel, in milliseconds of the clock. */
  sentAtMs = 0

  constructor(options: SenderOptions) {
    this.#options = options
    this.#link = options.link
  }

  get isDetached(): boolean {
    return this.#link === undefined
  }

  /** Writes what may be written now; true when something was. */
  pump(): boolean {
    const { window, outbox, onPump, onResumed } = this.#options
    // A line being pulled may issue commands: they are taken by the pump that runs.
    if (this.#isPumping) return false
    onPump()
    if (this.#isEnded || this.#isPaused || !this.#isWritable || !this.#link) return false
    const wasIdle = inFlightLines(window) === 0
    this.#isPumping = true
    const frames = outbox.nextFrames()
    this.#isPumping = false
    if (frames === '') return false
    if (wasIdle) onResumed()
    this.sentAtMs = this.#options.clock.nowMs()
    this.write(frames)
    return true
  }

  /** As {@link pump}, before the next event of the loop. */
  pumpSoon(): void {
    if (this.#isPumpDue) return
    this.#isPumpDue = true
    queueMicrotask(() => {
      this.#isPumpDue = false
      this.pump()
    })
  }

  /** Writes bytes whatever there is room for. */
  write(bytes: string): void {
    if (this.#link && bytes !== '') this.#isWritable = this.#link.write(bytes)
  }

  /** Nothing more of the outbox is written until {@link resume}. */
  pause(): void {
    this.#isPaused = true
  }

  resume(): void {
    this.#isPaused = false
    this.pump()
  }

  /** The kernel takes bytes again. */
  drained(): void {
    this.#isWritable = true
    this.pump()
  }

  /** Nothing of the outbox is written ever again. */
  end(): void {
    this.#isEnded = true
  }

  detach(): void {
    this.#link = undefined
  }

  attach(link: SerialLink): void {
    this.#link = link
    this.#isWritable = true
  }
}
