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

export function jobView(store: FleetStore, serial: string) {
  const { job = null, percent = 0 } = stateOf(store, serial)
  return {
    state: printerView(store, serial).state.text,
    job: { file: { name: job } },
    progress: { completion: job === null ? null : percent },
  }
}

export function printerView(store: FleetStore, serial: string) {
  const { online = false, state = '' } = stateOf(store, serial)
  const last = readSamples(store, serial, store.contiguous(serial, 'tele') - 1).at(-1)?.values
  const heater = (name: string) => ({
    actual: last?.get(`hw.temperature.${name}`) ?? null,
    target: last?.get(`hw.temperature.${name}.target`) ?? null,
  })
  const isPrinting = online && state === 'printing'
  return {
    state: {
      text: online ? (TEXT[state] ?? 'Offline') : 'Offline',
      flags: {
        operational: online && state !== 'offline',
        printing: isPrinting,
        paused: online && state === 'paused',
        ready: online && state === 'idle',
      },
    },
    temperature: { tool0: heater('hotend0'), bed: heater('bed') },
  }
}

export function profilesView(store: FleetStore, serial: string) {
  const { model = serial } = (store.fact(serial, 'birth') ?? {}) as { readonly model?: string }
  return { profiles: { _default: { id: '_default', name: serial, model, current: true } } }
}
