/** What every verb of `fleet` shares: its shape, the options, the tenant's store, a link to the broker. */

import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { type Link, openLink, parseEndpoint } from '#cloud'
import { joinIdentifiers } from '#lib/arguments.ts'
import { FleetError } from './errors.ts'
import { FleetStore } from './store.ts'
import type { Tenant } from './tenant.ts'

const NONE: string[] = []
const OPTIONS = {
  arg: { type: 'string', multiple: true, default: NONE },
  both: { type: 'boolean', default: false },
  broker: { type: 'string', default: 'mqtts://localhost:8883' },
  downloads: { type: 'string' },
  edge: { type: 'string', default: 'fleet' },
  enrol: { type: 'string' },
  event: { type: 'string' },
  group: { type: 'string' },
  grant: { type: 'string', multiple: true, default: NONE },
  help: { type: 'boolean', short: 'h', default: false },
  host: { type: 'string', default: '127.0.0.1' },
  json: { type: 'boolean', default: false },
  'keep-telemetry': { type: 'string', default: '30' },
  key: { type: 'string' },
  old: { type: 'string' },
  once: { type: 'boolean', default: false },
  out: { type: 'string' },
  port: { type: 'string', default: '0' },
  priority: { type: 'string', default: '5' },
  profile: { type: 'string' },
  region: { type: 'string', default: 'local' },
  segments: { type: 'boolean', default: false },
  since: { type: 'string' },
  syslog: { type: 'boolean', default: false },
  tenant: { type: 'string', default: '.' },
  to: { type: 'string', default: '' },
  url: { type: 'string' },
  uses: { type: 'string', default: '1' },
  worker: { type: 'string', default: 'fleet-1' },
} as const

export type Values = ReturnType<typeof parseCommandLine>['values']

/** @throws TypeError for an option nobody knows */
export function parseCommandLine(args: readonly string[]) {
  return parseArgs({ args: joinIdentifiers(args), allowPositionals: true, options: OPTIONS })
}

export interface Verb {
  /** What it does, in half a line. */
  readonly summary: string
  /** One line a form, without `fleet` and its `--tenant`. */
  readonly synopsis: readonly string[]
  /** Paragraphs and options of its page of the manual. */
  readonly description: string
  /** @throws FleetError, CloudError */
  run(values: Values, operands: readonly string[], signal: AbortSignal): Promise<void>
}

/** @throws FleetError FLEET_USAGE */
export function usage(problem: string): never {
  throw new FleetError('FLEET_USAGE', problem)
}

/** @throws FleetError FLEET_USAGE */
export function expectNumber(text: string, option: string, [least, most]: [number, number]) {
  const number = Number(text)
  if (!Number.isInteger(number) || number < least || number > most)
    usage(`--${option}: expected ${least} to ${most}`)
  return number
}

/** @throws FleetError FLEET_FILE */
export function openStore(values: Values): FleetStore {
  return new FleetStore(join(values.tenant, 'fleet.sqlite'))
}

/** A link of a command's own, without a session: MQTT 5, or 3.1.1. @throws CloudError */
export function dial(
  values: Values,
  tenant: Tenant,
  signal: AbortSignal,
  clientId = `fleet-cli-${process.pid}`,
): Promise<Link> {
  const open = (protocol: 5 | 4) =>
    openLink({
      ...parseEndpoint(values.broker),
      ...{ ca: tenant.authority.certPem, identity: tenant.identity, protocol, signal, clientId },
      ...{ sessionExpiryS: 0, subscriptions: [] },
      onMessage: async () => undefined,
    })
  return open(5).catch(() => open(4))
}

export function say(line: string): void {
  process.stdout.write(`${line}\n`)
}
