/** What any controller can say, as one union: each dialect's parser maps its own words onto it. */
import type { Position, Temperatures } from './controller.ts'

export type Reply =
  /** One command executed. `line` only under ADVANCED_OK; `plannerFree` and `queueFree` are slots. */
  | {
      readonly kind: 'ok'
      readonly line: number | undefined
      readonly plannerFree: number | undefined
      readonly queueFree: number | undefined
      /** What the acknowledgement says besides (Smoothie's and Klipper's M114, M115). */
      readonly report?: Reply
    }
  /** An `ok` whose one damaged character leaves no doubt what it was. What it acknowledged has to be asked. */
  | { readonly kind: 'damagedOk'; readonly text: string }
  /** The acknowledgement of an M105: never numbered, even under ADVANCED_OK. */
  | { readonly kind: 'okTemperatures'; readonly temperatures: Temperatures }
  | { readonly kind: 'resend'; readonly from: number }
  /** A line was damaged or missing: announces the `resend` that follows. */
  | { readonly kind: 'linkError'; readonly lastLine: number | undefined; readonly text: string }
  /** Any other error: the machine has stopped or is about to. */
  | {
      readonly kind: 'fatal'
      readonly text: string
      /** The halt tells no reason: what asks for it. */
      readonly question?: string
    }
  /** The controller did not do what the oldest line in flight says. `isAcknowledgement`: no `ok` follows. */
  | { readonly kind: 'refused'; readonly text: string; readonly isAcknowledgement: boolean }
  | { readonly kind: 'busy'; readonly reason: string }
  | {
      readonly kind: 'temperatures'
      readonly temperatures: Temperatures
      readonly isWaiting: boolean
    }
  | { readonly kind: 'position'; readonly position: Position }
  /** A status report asked for by `?`: free planner blocks, free receive bytes, the line being executed. */
  | {
      readonly kind: 'status'
      readonly state: string
      readonly plannerFree: number | undefined
      readonly receiveFreeBytes: number | undefined
      readonly line: number | undefined
      readonly position: Position | undefined
    }
  | { readonly kind: 'start' }
  | { readonly kind: 'action'; readonly action: string }
  | { readonly kind: 'unknownCommand'; readonly text: string }
  /** The echo of a mark: `tag` is its line number modulo the dialect's modulus. */
  | { readonly kind: 'mark'; readonly tag: number }
  | { readonly kind: 'firmware'; readonly fields: Readonly<Record<string, string>> }
  | { readonly kind: 'capability'; readonly name: string; readonly isPresent: boolean }
  /** grbl's `$I`: build version, option letters, planner blocks and receive bytes. */
  | {
      readonly kind: 'build'
      readonly version: string | undefined
      readonly options: string | undefined
      readonly plannerBlocks: number | undefined
      readonly receiveBytes: number | undefined
    }
  | { readonly kind: 'echo'; readonly text: string }
  | { readonly kind: 'message'; readonly text: string }

/** An acknowledgement that says nothing else. */
export const PLAIN_OK: Extract<Reply, { kind: 'ok' }> = Object.freeze({
  kind: 'ok',
  line: undefined,
  plannerFree: undefined,
  queueFree: undefined,
})

/** The board's first word after a reset. */
export const START: Reply = Object.freeze({ kind: 'start' })
