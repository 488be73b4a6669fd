/** Several controllers of one printer behind the face of one: lines go where they belong, and order across controllers is kept by draining. */
import type {
  AuditVerdict,
  ControllerEvent,
  ControllerIdentity,
  FlightEntry,
  LineSource,
  MotionController,
  Position,
  StopOutcome,
  StreamOptions,
  StreamReport,
  StreamStatistics,
  Temperatures,
} from './controller.ts'
import { STOP_OUTCOMES } from './controller.ts'
import { DriverError } from './errors.ts'
import { createRouter, type Destination, type Route } from './routing.ts'
import { Turns } from './turns.ts'

/** What a controller of the printer is for. */
export const ROLES = ['motion', 'fibre', 'chamber'] as const
export type Role = (typeof ROLES)[number]

/** One of a printer's controllers by the name its operator gave it. */
export interface Member {
  readonly name: string
  readonly role: Role
  readonly controller: MotionController
}

/** All controllers of a printer: as a whole the motion controller, to which the others add. */
export interface PrinterControllers extends MotionController {
  readonly members: readonly Member[]
}

/** One member as it is joined with the others; the first must be the motion controller. */
export interface MemberPlan extends Route {
  readonly name: string
  readonly role: Role
  readonly open: (onEvent: (event: ControllerEvent) => void) => Promise<MotionController>
}

/**
 * Opens all members at once; when one cannot be opened the others are closed again, once `onIncomplete` has had them.
 * @throws DriverError of the first that failed, its message begun by its name.
 */
export async function joinControllers(
  plans: readonly MemberPlan[],
  onEvent: (event: ControllerEvent) => void,
  onIncomplete: (members: readonly Member[]) => Promise<void> = async () => undefined,
): Promise<PrinterControllers> {
  const opened = await Promise.allSettled(
    plans.map(plan => plan.open(event => relay(plan, event, onEvent))),
  )
  const members = opened.flatMap((result, i) => {
    const plan = plans[i]
    if (result.status === 'rejected' || !plan) return []
    return [{ name: plan.name, role: plan.role, controller: result.value }]
  })
  const failed = opened.findIndex(({ status }) => status === 'rejected')
  const failure = opened[failed]
  if (failure?.status === 'rejected') {
    await onIncomplete(members)
    await Promise.allSettled(members.map(({ controller }) => controller[Symbol.asyncDispose]()))
    throw plans.length === 1 ? failure.reason : named(plans[failed]?.name ?? '', failure.reason)
  }
  return new Joined(members, plans)
}

class Joined implements PrinterControllers {
  readonly members: readonly Member[]
  readonly #plans: readonly MemberPlan[]
  readonly #motion: MotionController
  readonly #route: (text: string) => Destination
  #released: PromiseWithResolvers<void> | undefined

  constructor(members: readonly Member[], plans: readonly MemberPlan[]) {
    const [motion] = members
    if (motion?.role !== 'motion')
      throw new DriverError('DRIVER_BUSY', 'the first controller is not the motion controller')
    this.members = members
    this.#plans = plans
    this.#motion = motion.controller
    this.#route = createRouter(plans.slice(1))
  }

  get identity(): ControllerIdentity {
    return this.#motion.identity
  }

  get statistics(): StreamStatistics {
    return this.#motion.statistics
  }

  get temperatures(): Temperatures {
    const all = this.members.map(({ controller }, i) =>
      heatersOf(this.#plans[i], controller.temperatures),
    )
    return Object.assign({}, ...all)
  }

  async stream(source: LineSource, options: StreamOptions): Promise<StreamReport> {
    if (this.members.length === 1) return this.#motion.stream(source, options)
    const turns = new Turns(source, this.#route, (to, text) => this.#at(to).command(text, options))
    let whole: StreamReport = { lastLine: 0, lines: 0, position: undefined }
    for (;;) {
      const to = await turns.begin()
      if (to === undefined) return { ...whole, lines: whole.lines + turns.freeLines }
      await this.#untilReleased(options.signal)
      // Its end is a drained controller: what the next one does comes after all of it.
      const part = await this.#at(to).stream(turns, options)
      whole = {
        lastLine: Math.max(whole.lastLine, part.lastLine),
        lines: whole.lines + part.lines,
        position: to === 0 ? part.position : whole.position,
      }
    }
  }

  hold(): void {
    this.#released ??= Promise.withResolvers()
    for (const { controller } of this.members) controller.hold()
  }

  release(): void {
    this.#released?.resolve()
    this.#released = undefined
    for (const { controller } of this.members) controller.release()
  }

  command(text: string, options?: { readonly signal?: AbortSignal }): Promise<readonly string[]> {
    return this.#at(this.#route(text).to).command(text, options)
  }

  audit(expected: Partial<Position>, toleranceMm?: number): Promise<AuditVerdict> {
    return this.#motion.audit(expected, toleranceMm)
  }

  /** What the others would be sent they would carry out: refused unless the motion controller is alone. */
  async rehearse(
    script: readonly string[],
    source: LineSource,
    options: StreamOptions,
  ): Promise<StreamReport> {
    if (this.members.length > 1)
      throw new DriverError('DRIVER_COMMAND_REFUSED', 'several controllers cannot rehearse')
    return this.#motion.rehearse(script, source, options)
  }

  /** Of every member, in order of time. */
  flightRecord(): readonly FlightEntry[] {
    const all = this.members.flatMap(({ controller }) => controller.flightRecord())
    return all.sort((a, b) => (a.atNs < b.atNs ? -1 : 1))
  }

  /** All at once: none waits for another to have stopped. Resolves with the worst outcome of them. */
  async emergencyStop(): Promise<StopOutcome> {
    const stops = await Promise.allSettled(
      this.members.map(({ controller }) => controller.emergencyStop()),
    )
    const outcomes = stops.map(stop => (stop.status === 'fulfilled' ? stop.value : 'unconfirmed'))
    return STOP_OUTCOMES.findLast(outcome => outcomes.includes(outcome)) ?? 'halted'
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.allSettled(
      this.members.map(({ controller }) => controller[Symbol.asyncDispose]()),
    )
  }

  #at(to: number): MotionController {
    return this.members[to]?.controller ?? this.#motion
  }

  async #untilReleased(signal: AbortSignal): Promise<void> {
    if (!this.#released) return
    const aborted = Promise.withResolvers<never>()
    const onAbort = (): void => aborted.reject(signal.reason)
    signal.addEventListener('abort', onAbort, { once: true })
    try {
      await Promise.race([this.#released.promise, aborted.promise])
    } finally {
      signal.removeEventListener('abort', onAbort)
    }
  }
}

function relay(
  plan: MemberPlan,
  event: ControllerEvent,
  onEvent: (event: ControllerEvent) => void,
): void {
  if (plan.role === 'motion') return onEvent(event)
  switch (event.kind) {
    case 'lost':
    case 'detached':
      return onEvent({ ...event, error: named(plan.name, event.error) })
    case 'temperatures':
      return onEvent({ ...event, temperatures: heatersOf(plan, event.temperatures) })
    // Where the head is, only the motion controller can say.
    case 'position':
      return
    default:
      return onEvent(event)
  }
}

/** The same fault, its message begun by whose it is. */
function named(name: string, error: unknown): Error {
  if (!(error instanceof DriverError)) return error instanceof Error ? error : new Error(name)
  const { code, line, message } = error
  return new DriverError(code, `${name}: ${message}`, {
    cause: error,
    ...(line === undefined ? {} : { line }),
  })
}

/** Each controller numbers its heaters from 0: a printer's names are by its tools, and what heats a chamber is the chamber. */
function heatersOf(plan: MemberPlan | undefined, temperatures: Temperatures): Temperatures {
  if (!plan || plan.role === 'motion') return temperatures
  const entries = Object.entries(temperatures).flatMap(([heater, reading]) => {
    if (plan.role === 'chamber') return [['chamber', reading] as const]
    const [, digits] = /^hotend(\d*)$/.exec(heater) ?? []
    const tool = digits === undefined ? undefined : plan.tools[Number(digits)]
    return tool === undefined ? [] : [[tool === 0 ? 'hotend' : `hotend${tool}`, reading] as const]
  })
  return Object.fromEntries(entries)
}
