/** When a heater is not doing what it was told: a table of rules over what the controller reports. Pure. */

import type { Temperature } from '#drivers'

export type ThermalCode =
  | 'THERMAL_RUNAWAY'
  | 'THERMAL_NOT_HEATING'
  | 'THERMAL_FALLING'
  | 'THERMAL_SENSOR'
  | 'THERMAL_LIMIT'

/** From `printer.safety`. The firmware has its own protection and is quicker: this one is for the day it fails. */
export interface ThermalSettings {
  readonly marginC: number
  readonly hotendRiseTimeoutMs: number
  readonly bedRiseTimeoutMs: number
}

/** What is remembered of one heater since its target last changed. */
export interface HeaterState {
  readonly targetC: number
  readonly lowestC: number
  /** Highest value that counted as a rise, and when. */
  readonly risenToC: number
  readonly risenAtMs: number
  readonly hasArrived: boolean
  /** Since when it has been too cold for a heater that had arrived. */
  readonly coldSinceMs: number | undefined
}

export interface HeaterFacts {
  readonly heater: string
  /** Highest the printer's profile allows; undefined where the heater has no limit of its own. */
  readonly maxC: number | undefined
  readonly settings: ThermalSettings
}

/** No thermistor of a printer reads outside these: shorted, torn off or a damaged report. */
const ABSURD = { belowC: -30, aboveC: 650 } as const
/** Marlin Configuration_adv.h: WATCH_TEMP_INCREASE. */
const RISE_C = 2
const ARRIVED_C = 4
/** More than any heater does from one report to the next. */
const SUDDEN_C = 15
/** Heat of a neighbour warms a heater that is off; a stuck switch does more. */
const OFF_RISE_C = 60

/** A report carries no check: what differs so much from the one before may be a damaged digit, until the next says the same. */
export function isSudden(before: Temperature, report: Temperature): boolean {
  const isNear = Math.abs(report.currentC - before.currentC) <= SUDDEN_C
  return !isNear || report.targetC !== before.targetC
}

/** A heater as first seen. */
export function firstSight({ currentC, targetC }: Temperature, nowMs: number): HeaterState {
  return {
    targetC,
    lowestC: currentC,
    risenToC: currentC,
    risenAtMs: nowMs,
    hasArrived: targetC > 0 && Math.abs(currentC - targetC) <= ARRIVED_C,
    coldSinceMs: undefined,
  }
}

/** The state after a report. */
export function follow(state: HeaterState, report: Temperature, nowMs: number): HeaterState {
  const { currentC, targetC } = report
  if (targetC !== state.targetC) return firstSight(report, nowMs)
  const hasRisen = currentC >= state.risenToC + RISE_C
  const hasArrived = state.hasArrived || (targetC > 0 && currentC >= targetC - ARRIVED_C)
  const isCold = hasArrived && currentC < targetC - ARRIVED_C
  return {
    targetC,
    lowestC: Math.min(state.lowestC, currentC),
    risenToC: hasRisen ? currentC : state.risenToC,
    risenAtMs: hasRisen ? nowMs : state.risenAtMs,
    hasArrived,
    coldSinceMs: isCold ? (state.coldSinceMs ?? nowMs) : undefined,
  }
}

type Rule = (
  state: HeaterState,
  report: Temperature,
  facts: HeaterFacts & { readonly nowMs: number },
) => boolean

const riseTimeoutMs = ({ heater, settings }: HeaterFacts) =>
  heater.startsWith('hotend') ? settings.hotendRiseTimeoutMs : settings.bedRiseTimeoutMs

/** In order: the first that holds is the fault. */
const RULES: readonly (readonly [ThermalCode, Rule])[] = [
  [
    'THERMAL_SENSOR',
    (_, { currentC }) =>
      !Number.isFinite(currentC) || currentC < ABSURD.belowC || currentC > ABSURD.aboveC,
  ],
  [
    'THERMAL_LIMIT',
    (_, { currentC, targetC }, { maxC, settings }) =>
      maxC !== undefined && (targetC > maxC || currentC > maxC + settings.marginC),
  ],
  [
    'THERMAL_RUNAWAY',
    // Above its target only counts when it rose there: a target set lower leaves it hot for a while.
    ({ lowestC, hasArrived }, { currentC, targetC }, { settings }) =>
      targetC > 0 &&
      currentC > (hasArrived ? targetC : Math.max(targetC, lowestC)) + settings.marginC &&
      currentC > lowestC + settings.marginC / 2,
  ],
  [
    'THERMAL_RUNAWAY',
    ({ lowestC }, { currentC, targetC }, { heater }) =>
      targetC === 0 && heater !== 'chamber' && currentC > lowestC + OFF_RISE_C,
  ],
  [
    'THERMAL_NOT_HEATING',
    ({ hasArrived, risenAtMs }, { targetC }, facts) =>
      targetC > 0 && !hasArrived && facts.nowMs - risenAtMs > riseTimeoutMs(facts),
  ],
  [
    'THERMAL_FALLING',
    ({ coldSinceMs }, { currentC, targetC }, facts) =>
      coldSinceMs !== undefined &&
      (facts.nowMs - coldSinceMs > riseTimeoutMs(facts) ||
        currentC < targetC - 2 * facts.settings.marginC),
  ],
]

/** The fault a report shows, if any. `state` already follows the report. */
export function faultOf(
  state: HeaterState,
  report: Temperature,
  facts: HeaterFacts & { readonly nowMs: number },
): ThermalCode | undefined {
  return RULES.find(([, holds]) => holds(state, report, facts))?.[0]
}
