/** One printer or all of them as text: what was heard, how far its log is proven, what it said last. Pure. */

import { FLEET } from './broker-names.ts'
import type { FleetStore } from './store.ts'

interface State {
  readonly online?: boolean
  readonly state?: string
  readonly percent?: number
}

interface Birth {
  readonly model?: string
  readonly core?: string | null
  readonly dictionary?: readonly (readonly [string, string])[]
}

interface Batch {
  readonly c?: readonly unknown[]
}

const EVENTS_SHOWN = 8
const ALERTS_SHOWN = 3

/** A screen of text: one line a printer, then the newest events of each. */
export function renderFleet(store: FleetStore, only: string | undefined): string {
  const devices = store.devices().filter(device => only === undefined || device === only)
  const own = only === undefined ? store.alerts(FLEET) : []
  const blocks = devices.map(device => renderPrinter(store, device))
  if (devices.length === 0) blocks.push('nothing was heard of a printer yet\n')
  if (own.length > 0)
    blocks.push(`the fleet end itself: ${own.length} alerts\n${alertLines(own).join('\n')}\n`)
  return blocks.join('\n')
}

function alertLines(alerts: ReturnType<FleetStore['alerts']>): readonly string[] {
  return alerts
    .slice(-ALERTS_SHOWN)
    .map(
      ({ atMs, code, message }) => `  ! ${new Date(atMs).toISOString()} ${code}: ${clean(message)}`,
    )
}

/** A text is shown without anything that could steer a terminal. */
function clean(text: string): string {
  return text.replace(/[\p{C}\p{Zl}\p{Zp}]/gu, '?')
}

function renderPrinter(store: FleetStore, device: string): string {
  const state = (store.fact(device, 'state') ?? {}) as State
  const birth = (store.fact(device, 'birth') ?? {}) as Birth
  const log = store.log(device)
  const end = store.contiguous(device, 'evt')
  const alerts = store.alerts(device)
  const status = state.online === true ? (state.state ?? 'online') : 'away'
  const lines = [
    `${device}  ${birth.model ?? '?'}  mpfd ${birth.core ?? '?'}  ${status} ${state.percent ?? 0} %`,
    `  ${end} events without a gap, ${log?.proven ?? 0} under a signed and witnessed head, ${alerts.length} alerts`,
    ...temperatures(store, device, birth),
    ...store
      .items(device, 'evt', Math.max(0, end - EVENTS_SHOWN), EVENTS_SHOWN)
      .map(({ seq, value }) => `  ${seq}  ${eventText(value)}`),
    ...alertLines(alerts),
  ]
  return `${lines.join('\n')}\n`
}

function temperatures(store: FleetStore, device: string, birth: Birth): readonly string[] {
  const end = store.contiguous(device, 'tele')
  const [item] = store.items(device, 'tele', end - 1, 1)
  const columns = (item?.value as Batch | undefined)?.c
  if (!columns || !birth.dictionary) return []
  const shown = birth.dictionary.flatMap(([name], i) => {
    const column = columns[i]
    const value: unknown = Array.isArray(column) ? column.at(-1) : column
    const isShown = name.startsWith('hw.temperature.') || name === 'system.cpu.utilization'
    return isShown && typeof value === 'number'
      ? [`${name.replace('hw.temperature.', '')} ${value}`]
      : []
  })
  return shown.length === 0 ? [] : [`  ${shown.join('  ')}`]
}

function eventText(value: unknown): string {
  const { time, message, unmapped } = value as {
    readonly time: number
    readonly message: string
    readonly unmapped: { readonly type: string }
  }
  return `${new Date(time).toISOString()}  ${unmapped.type}  ${clean(message)}`
}
