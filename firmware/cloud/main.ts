/** The `mpfd-cloud` program: arguments, configuration, signals; everything else is runCourier's. */

import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { z } from 'zod'
import { type Config, ConfigError, loadConfig } from '#config'
import { systemClock } from '#lib/clock.ts'
import { endOnSignals } from '#lib/end-on-signals.ts'
import { createLogger } from '#lib/logger.ts'
import { tellServiceManager } from '#lib/service-manager.ts'
import { MpfError } from '#mpf'
import { runCourier } from './courier.ts'
import { enrolPrinter } from './enrol.ts'
import { CloudError } from './errors.ts'
import { SentRing } from './sent-ring.ts'
import { decodeBatch } from './wire.ts'

const USAGE = `usage: mpfd-cloud --config FILE
       mpfd-cloud --config FILE enrol --url https://HOST:PORT --token TOKEN
       mpfd-cloud --config FILE telemetry --raw
`
const EXIT = { ok: 0, fault: 1, usage: 2, config: 78 } as const

/** Runs until a signal or a fault; resolves with the exit status. */
export async function main(args: readonly string[]): Promise<number> {
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
    if (options.verb === 'telemetry') return showTelemetry(config)
    const ports = { clock: systemClock, log, random: Math.random, version: await readVersion() }
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

/** Exactly the bytes that left this printer within the last hour. */
function showTelemetry(config: Config): number {
  const { cloud } = config
  if (!cloud) return EXIT.config
  using ring = new SentRing(join(cloud.stateDirectory, 'sent.sqlite'))
  for (const { atMs, topic, payload } of ring.list()) {
    const { header, items } = decodeBatch(payload)
    const time = new Date(atMs).toISOString()
    process.stdout.write(`${time} ${topic} ${payload.length} bytes\n`)
    process.stdout.write(`  sent  ${Buffer.from(payload).toString('base64')}\n`)
    process.stdout.write(`  means ${JSON.stringify(header)} ${JSON.stringify(items)}\n`)
  }
  return EXIT.ok
}

interface Options {
  readonly config: string
  readonly verb: 'run' | 'enrol' | 'telemetry'
  readonly url: string
  readonly token: string
}

function parseOptions(args: readonly string[]): Options | undefined {
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        config: { type: 'string' },
        url: { type: 'string', default: '' },
        token: { type: 'string', default: '' },
        raw: { type: 'boolean', default: false },
      },
    })
    const verb = z.enum(['run', 'enrol', 'telemetry']).safeParse(positionals[0] ?? 'run').data
    if (values.config === undefined || verb === undefined || positionals.length > 1)
      return undefined
    return { config: values.config, verb, url: values.url, token: values.token }
  } catch {
    return undefined
  }
}

async function readVersion(): Promise<string> {
  const text = await readFile(new URL('../../package.json', import.meta.url), 'utf8')
  return z.object({ version: z.string() }).parse(JSON.parse(text)).version
}

if (import.meta.main) process.exit(await main(process.argv.slice(2)))
