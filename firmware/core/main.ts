/** The `mpfd` program: arguments, configuration, signals; everything else is startCore's. */

// Core dumps, swap and inspectors are the unit's business (LimitCORE=0, MemorySwapMax=0): a process cannot set them for itself.

import { randomUUID } from 'node:crypto'
import { parseArgs } from 'node:util'
import { type Config, ConfigError, loadConfig } from '#config'
import { systemClock } from '#lib/clock.ts'
import { endOnSignals } from '#lib/end-on-signals.ts'
import { createLogger, type Logger } from '#lib/logger.ts'
import { tellServiceManager } from '#lib/service-manager.ts'
import { packageVersion, toldVersion } from '#lib/version.ts'
import { openPrint } from './admission/checklist.ts'
import { preflightInThread } from './admission/preflight.ts'
import { BUILD_AT_MS } from './build-time.ts'
import { startCore } from './core.ts'
import { CoreError } from './errors.ts'
import { controllersOpener } from './open-controllers.ts'

const USAGE =
  'usage: mpfd [--all] --config FILE [--simulate [--simulator-option=OPTION]...]\n  --all   with the courier (mpfd-cloud), for a container or a desk\n'
const EXIT = { ok: 0, fault: 1, usage: 2, config: 78 } as const

/** Runs until a signal or a fault; resolves with the exit status. */
export async function main(args: readonly string[]): Promise<number> {
  if (await toldVersion('mpfd', args)) return EXIT.ok
  const options = parseOptions(args)
  if (options === undefined) {
    process.stderr.write(USAGE)
    return EXIT.usage
  }
  const ending = endOnSignals(EXIT.fault)
  let log = createLogger({ name: 'mpfd', level: 'info' })
  try {
    const config = await loadConfig(options.config)
    log = createLogger({ name: 'mpfd', level: config.log.level })
    await run(config, options, log, ending)
    return EXIT.ok
  } catch (error) {
    if (ending.aborted && error === ending.reason) return EXIT.ok
    const code = error instanceof CoreError || error instanceof ConfigError ? error.code : undefined
    log.error({ err: error, code }, 'ended by a fault')
    return error instanceof ConfigError ? EXIT.config : EXIT.fault
  }
}

interface Options {
  readonly config: string
  readonly isSimulated: boolean
  readonly simulatorOptions: readonly string[]
}

function parseOptions(args: readonly string[]): Options | undefined {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        config: { type: 'string' },
        simulate: { type: 'boolean', default: false },
        'simulator-option': { type: 'string', multiple: true, default: [] },
      },
    })
    if (values.config === undefined) return undefined
    return {
      config: values.config,
      isSimulated: values.simulate,
      simulatorOptions: values['simulator-option'],
    }
  } catch {
    return undefined
  }
}

async function run(
  config: Config,
  options: Options,
  log: Logger,
  ending: AbortSignal,
): Promise<void> {
  await using stack = new AsyncDisposableStack()
  const opening = { ...options, clock: systemClock }
  const core = stack.use(
    await startCore(
      config,
      {
        clock: systemClock,
        log,
        version: await packageVersion(),
        buildAtMs: BUILD_AT_MS,
        newId: randomUUID,
        readConfig: () => loadConfig(options.config),
        openController: await controllersOpener(config.controllers, opening, stack),
        openPrint,
        preflight: preflightInThread,
      },
      ending,
    ),
  )
  log.info({ socket: config.control.socket }, 'ready')
  tellServiceManager(log)
  await core.ended()
}

if (import.meta.main) process.exit(await main(process.argv.slice(2)))
