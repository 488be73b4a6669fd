/** From the configuration to the printer's controllers: each at its port, or simulated. */

import type { Config } from '#config'
import { type ControllerEvent, joinControllers, type MemberPlan, openController } from '#drivers'
import type { Clock } from '#lib/clock.ts'
import type { OpenMachineController } from './engine/machine-options.ts'
import { startSimulator } from './simulator.ts'

export interface OpenControllersOptions {
  readonly clock: Clock
  /** Simulates every controller, whatever port it has. */
  readonly isSimulated: boolean
  /** Given to each simulated controller beside its dialect. */
  readonly simulatorOptions: readonly string[]
}

type ControllerSettings = Config['controllers'][number]

/** Starts what is simulated, to be ended with `stack`; the controllers themselves are opened by what it resolves with. */
export async function controllersOpener(
  controllers: Config['controllers'],
  options: OpenControllersOptions,
  stack: AsyncDisposableStack,
): Promise<OpenMachineController> {
  // The one that moves comes first: to it the others add.
  const ordered = controllers.toSorted(
    (a, b) => Number(b.role === 'motion') - Number(a.role === 'motion'),
  )
  const ports = await Promise.all(ordered.map(settings => portOf(settings, options, stack)))
  return (onEvent, signal, onIncomplete) => {
    const plans = ordered.map((settings, i) =>
      planOf({ ...settings, port: ports[i] ?? settings.port }, options.clock, signal),
    )
    return joinControllers(plans, onEvent, onIncomplete)
  }
}

async function portOf(
  { dialect, port }: ControllerSettings,
  { isSimulated, simulatorOptions }: OpenControllersOptions,
  stack: AsyncDisposableStack,
): Promise<string> {
  if (!isSimulated && port !== 'simulated') return port
  // Asked who it is, a board must be something: the most common.
  const simulated = dialect === 'auto' ? 'marlin' : dialect
  const simulator = await startSimulator([`--dialect=${simulated}`, ...simulatorOptions])
  return stack.use(simulator).port
}

function planOf(settings: ControllerSettings, clock: Clock, signal: AbortSignal): MemberPlan {
  const { name, role, dialect, port, baud, reattachWithinMs, checksum, compact } = settings
  const { tools, commands, freeCommands } = settings
  const driver = { dialect, port, baud, reattachWithinMs, checksum, compact }
  const open = (onEvent: (event: ControllerEvent) => void) =>
    openController(driver, { clock, signal, onEvent })
  return { name, role, tools, commands, freeCommands, open }
}
