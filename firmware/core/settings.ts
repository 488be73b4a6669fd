/** What may change while the core runs: policies set by signed commands over the configuration's values, and a configuration read again. */

import type { Config } from '#config'
import type { CommandLedger } from './commands/ledger.ts'
import { POLICIES, type PolicyName, type PolicyValue } from './commands/policies.ts'
import { CoreError } from './errors.ts'

/** Keys taken over from a file read again; every other one needs a start of the core. */
const LIVE_KEYS: readonly string[] = ['usb.autoStart', 'printer.policy.onInterruption']

export interface Reloaded {
  /** Paths of keys that are in force now, and of those that wait for the next start. */
  readonly applied: readonly string[]
  readonly waiting: readonly string[]
}

export class Settings {
  readonly #started: Config
  readonly #ledger: CommandLedger
  readonly #read: (() => Promise<Config>) | undefined
  #current: Config

  /** `read`: the configuration file as it is now. */
  constructor(config: Config, ledger: CommandLedger, read: (() => Promise<Config>) | undefined) {
    this.#started = config
    this.#current = config
    this.#ledger = ledger
    this.#read = read
  }

  /** What a signed command set, else what the configuration says. */
  policy<P extends PolicyName>(name: P): PolicyValue<P> {
    const values: readonly PolicyValue<P>[] = POLICIES[name]
    const set = values.find(value => value === this.#ledger.policy(name))
    return set ?? (this.#configured(name) as PolicyValue<P>)
  }

  /** @throws ConfigError when the file is none any more: nothing changes; CoreError COMMAND_UNSUPPORTED */
  async reload(): Promise<Reloaded> {
    if (!this.#read) throw new CoreError('COMMAND_UNSUPPORTED', 'no configuration file')
    const next = await this.#read()
    const isLive = (path: string) => LIVE_KEYS.includes(path)
    const applied = differences(this.#current, next).filter(isLive)
    const waiting = differences(this.#started, next).filter(path => !isLive(path))
    this.#current = next
    return { applied, waiting }
  }

  #configured(name: PolicyName): string {
    const { usb, printer } = this.#current
    return name === 'autoStart' ? usb.autoStart : printer.policy.onInterruption
  }
}

/** Paths of the values that differ. */
function differences(one: unknown, other: unknown, path = ''): readonly string[] {
  if (!isBranch(one) || !isBranch(other))
    return JSON.stringify(one) === JSON.stringify(other) ? [] : [path]
  const names = new Set([...Object.keys(one), ...Object.keys(other)])
  return [...names].flatMap(name =>
    differences(one[name], other[name], path === '' ? name : `${path}.${name}`),
  )
}

function isBranch(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
