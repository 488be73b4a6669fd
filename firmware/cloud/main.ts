/** The `mpfd-cloud` program: arguments, configuration, signals; everything else is runCourier's. */

import { parseArgs } from 'node:util'
import { z } from 'zod'
import { ConfigError, loadConfig } from '#config'
import { joinIdentifiers } from '#lib/arguments.ts'
import { systemClock } from '#lib/clock.ts'
import { endOnSignals } from '#lib/end-on-signals.ts'
import { createLogger } from '#lib/logger.ts'
import { tellServiceManager } from '#lib/service-manager.ts'
import { packageVersion, toldVersion } from '#lib/version.ts'
import { MpfError } from '#mpf'
import { runCourier } from './courier.ts'
import { enrolPrinter } from './enrol.ts'
import { CloudError } from './errors.ts'

const USAGE = `usage: mpfd-cloud --config FILE
       mpfd-cloud --config FILE enrol --url https://HOST:PORT --token TOKEN
`
const EXIT = { ok: 0, fault: 1, usage: 2, config: 78 } as const

/** Runs until a signal or a fault; resolves with the exit status. */
export async function main(args: readonly string[]): Promise<number> {
  if (await toldVersion('mpfd-cloud', args)) return EXIT.ok
  const options = parseOptions(args)
  if (options === undefined) {
    process.stderr.write(USAGE)
    return EXIT.usage
  }
  const ending = endOnSignals(EXIT.fault)
  let log = createLogger({ name: 'mpfd-cloud', level: 'info' })
  try {
    const config = await loadConfig(options.config)
    log = createLogger({ name: 'mpfd-cloud', level: config.log.level })
    if (options.verb === 'enrol') {
      await enrolPrinter(config, { url: options.url, token: options.token })
      return EXIT.ok
    }
    const ports = {
      ...{ clock: systemClock, log, random: Math.random, version: await packageVersion() },
      // systemd.exec(5): RuntimeDirectory= of the unit, in memory.
      runtimeDirectory: process.env.RUNTIME_DIRECTORY,
    }
    tellServiceManager(log)
    await runCourier(config, ports, ending)
    return EXIT.ok
  } catch (error) {
    if (ending.aborted) return EXIT.ok
    const isOurs =
      error instanceof CloudError || error instanceof ConfigError || error instanceof MpfError
    log.error({ err: error, code: isOurs ? error.code : undefined }, 'ended by a fault')
    return error instanceof ConfigError ? EXIT.config : EXIT.fault
  }
}

interface Options {
  readonly config: string
  readonly verb: 'run' | 'enrol'
  readonly url: string
  readonly token: string
}

function parseOptions(args: readonly string[]): Options | undefined {
  try {
    const { values, positionals } = parseArgs({
      args: joinIdentifiers(args),
      allowPositionals: true,
      options: {
        config: { type: 'string' },
        url: { type: 'string', default: '' },
        token: { type: 'string', default: '' },
      },
    })
    const verb = z.enum(['run', 'enrol']).safeParse(positionals[0] ?? 'run').data
    if (values.config === undefined || verb === undefined || positionals.length > 1)
      return undefined
    return { config: values.config, verb, url: values.url, token: values.token }
  } catch {
    return undefined
  }
}

if (import.meta.main) process.exit(await main(process.argv.slice(2)))
