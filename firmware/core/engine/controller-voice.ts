/** What the controller says of its own accord, taken seriously but not obeyed: pauses with a reason, prompts, and suspicions for the record. */

import type { ControllerEvent } from '#drivers'
import type { AttentionView } from '#lib/control-protocol.ts'
import type { Logger } from '#lib/logger.ts'
import { CoreError } from '../errors.ts'
import type { EventEntry } from '../journal/events.ts'
import type { Journal } from '../journal/journal.ts'
import { takeAction } from './host-actions.ts'
import type { Machine } from './machine.ts'
import type { PrintEngine } from './print-engine.ts'

export interface ControllerVoiceOptions {
  readonly machine: Machine
  readonly engine: PrintEngine
  readonly journal: Journal
  readonly log: Logger
}

export class ControllerVoice {
  readonly #options: ControllerVoiceOptions
  #attention: AttentionView | null = null

  constructor(options: ControllerVoiceOptions) {
    this.#options = options
  }

  /** What a person should look at; null while there is nothing. */
  get attention(): AttentionView | null {
    return this.#attention
  }

  /** Listens until the returned handle is disposed. */
  listen(): Disposable {
    return this.#options.machine.onEvent(event => {
      try {
        this.#take(event)
      } catch (error) {
        // Thrown into the driver's loop it would help nobody.
        this.#options.log.error({ err: error }, 'not recorded')
      }
    })
  }

  /** Answers the prompt that is shown with its choice `choice`, from 0. @throws CoreError PRINTER_NO_PROMPT; DriverError. */
  async respond(choice: number, signal: AbortSignal): Promise<void> {
    const { journal, machine } = this.#options
    const prompt = this.#attention?.prompt
    // A prompt without choices has one: that it was read.
    if (!prompt?.isShown || choice >= Math.max(1, prompt.choices.length))
      throw new CoreError('PRINTER_NO_PROMPT', `no prompt with a choice ${choice}`)
    await machine.run([`M876 S${choice}`], signal)
    this.#attention = null
    journal.record({
      type: 'printer.answered',
      message: `choice ${choice}`,
      detail: { choice },
    })
  }

  #take(event: ControllerEvent): void {
    switch (event.kind) {
      case 'action':
        return this.#takeAction(event.action)
      case 'suspicious': {
        const { reason, count } = event
        return this.#record({
          type: 'printer.suspicious',
          message: `${reason}, ${count} so far`,
          detail: { reason, count },
        })
      }
      case 'detached':
        return this.#record({ type: 'printer.detached', message: event.error.message })
      case 'reattached':
        return this.#record({
          type: 'printer.reattached',
          message: `everything before line ${event.from} had arrived`,
          detail: { from: event.from },
        })
      case 'lost':
        this.#attention = null
        return
      default:
    }
  }

  #takeAction(action: string): void {
    const { machine } = this.#options
    const isAnnounced =
      machine.isConnected && machine.controller.identity.capabilities.HOST_ACTION_COMMANDS === true
    const { attention, effect } = takeAction(this.#attention, action)
    if (!isAnnounced || effect.kind === 'ignored') {
      const message = isAnnounced ? 'not one to act on' : 'from a controller that announces none'
      return this.#record({ type: 'printer.action_ignored', message })
    }
    this.#attention = attention
    if (effect.kind === 'pause') this.#pause(effect.reason)
  }

  #pause(reason: string): void {
    const { engine } = this.#options
    this.#record({ type: 'printer.asks', message: reason, job: engine.current?.job })
    if (engine.current?.progress.phase !== 'printing') return
    engine.requestPause(reason).catch((error: unknown) => {
      this.#options.log.warn({ err: error }, 'not paused')
    })
  }

  #record(entry: EventEntry): void {
    this.#options.journal.record(entry)
  }
}
