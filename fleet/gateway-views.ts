/** What the gateway tells a slicer of a printer, in OctoPrint's words. Pure. */

import type { FleetStore } from './store.ts'
import { readSamples } from './telemetry.ts'

/** Slicers look for "OctoPrint" in `text` before they offer to upload. */
export const VERSION = { api: '0.1', server: '1.11.0', text: 'OctoPrint 1.11.0 (mpfd gateway)' }

interface State {
  readonly online?: boolean
  readonly state?: string
  readonly percent?: number
  readonly job?: string | null
}

function stateOf(store: FleetStore, serial: string): State {
  return (store.fact(serial, 'state') ?? {}) as State
}

const TEXT: Readonly<Record<string, string>> = {
  idle: 'Operational',
  printing: 'Printing',
  paused: 'Paused',
}

type View = (store: FleetStore, serial: string) => object

const SETTINGS = { feature: { sdSupport: false }, webcam: { webcamEnabled: false } }

/** Answers to what slicers ask before and beside an upload. Cura reads every field here, and fails where one is missing. */
const VIEWS: Readonly<Record<string, View>> = {
  'GET /api/connection': (store, serial) => ({
    current: { state: textOf(stateOf(store, serial)) },
  }),
  'GET /api/job': jobView,
  'GET /api/printer': printerView,
  'GET /api/printerprofiles': profilesView,
  'GET /api/settings': () => SETTINGS,
}

/** Undefined when nobody asks that. */
export function viewOf(
  operation: string,
  store: FleetStore,
  serial: string,
): { readonly status: number; readonly body: string | object } | undefined {
  const view = Object.hasOwn(VIEWS, operation) ? VIEWS[operation] : undefined
  if (!view) return undefined
  // As OctoPrint says it of a printer that is not connected.
  const isAway = view === printerView && stateOf(store, serial).online !== true
  return isAway
    ? { status: 409, body: 'Printer is not operational' }
    : { status: 200, body: view(store, serial) }
}

function textOf({ online = false, state = '' }: State): string {
  return online ? (TEXT[state] ?? 'Offline') : 'Offline'
}

function jobView(store: FleetStore, serial: string) {
  const state = stateOf(store, serial)
  const { job = null, percent = 0 } = state
  return {
    state: textOf(state),
    job: { file: { name: job } },
    progress: { completion: job === null ? null : percent, printTime: null, printTimeLeft: null },
  }
}

function printerView(store: FleetStore, serial: string) {
  const shown = stateOf(store, serial)
  const { state = '' } = shown
  const last = readSamples(store, serial, store.contiguous(serial, 'tele') - 1).at(-1)?.values
  const heater = (name: string) => ({
    actual: last?.get(`hw.temperature.${name}`) ?? null,
    target: last?.get(`hw.temperature.${name}.target`) ?? null,
  })
  return {
    state: {
      text: textOf(shown),
      flags: {
        ...{ operational: state !== 'offline', ready: state === 'idle', sdReady: false },
        ...{ printing: state === 'printing', paused: state === 'paused' },
        ...{ pausing: false, cancelling: false, error: false, closedOrError: false },
      },
    },
    temperature: { tool0: heater('hotend0'), bed: heater('bed') },
  }
}

function profilesView(store: FleetStore, serial: string) {
  const { model = serial } = (store.fact(serial, 'birth') ?? {}) as { readonly model?: string }
  return { profiles: { _default: { id: '_default', name: serial, model, current: true } } }
}
