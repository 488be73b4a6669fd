/** Several controllers in one printer, each a simulated board: order across them, and what the failure of one does to all. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import {
  type ControllerEvent,
  joinControllers,
  type MemberPlan,
  openController,
  type SimulatedMarlin,
  startSimulatedMarlin,
} from '#drivers'
import { systemClock } from '#lib/clock.ts'
import { type Core, startCore } from '../../firmware/core/core.ts'
import type { OpenMachineController } from '../../firmware/core/engine/machine-options.ts'
import { deskPrinter, desktopPorts, seal, untilEvent } from '../fakes/core-printer.ts'

const ROUTES = {
  motion: { tools: [], commands: [], freeCommands: [] },
  fibre: { tools: [1], commands: ['M486'], freeCommands: [] },
  chamber: { tools: [], commands: ['M191'], freeCommands: ['M141'] },
} as const
type Name = keyof typeof ROUTES
const NAMES = ['motion', 'fibre', 'chamber'] as const

/** Moves with a word of the fibre head between each ten, and the chamber set on the way. */
function program(rounds: number): string {
  const lines = ['G28', 'G90', 'M82', 'G92 E0', 'M104 T1 S180', 'M141 S40', 'G1 Z0.2 F1200']
  lines.push('M191 S45')
  for (let round = 0; round < rounds; round++) {
    for (let i = 0; i < 10; i++) lines.push(`G1 X${10 + i} Y${10 + (round % 90)} F6000`)
    lines.push(`M486 S${round % 9}`)
  }
  return [...lines, 'M104 T1 S0', 'M141 S0', ''].join('\n')
}

interface Setup extends AsyncDisposable {
  readonly core: Core
  readonly boards: Readonly<Record<Name, SimulatedMarlin>>
  /** What each board executed, in the order in which it happened on all. */
  readonly log: string[]
  readonly id: string
}

function openerOf(boards: Readonly<Record<Name, SimulatedMarlin>>): OpenMachineController {
  return (onEvent, signal) => {
    const plans = NAMES.map((name): MemberPlan => {
      const controller = { dialect: 'marlin', baud: 115_200, port: boards[name].port } as const
      const open = (onEvent: (event: ControllerEvent) => void) =>
        openController(controller, { clock: systemClock, signal, onEvent })
      return { name, role: name, ...ROUTES[name], open }
    })
    return joinControllers(plans, onEvent)
  }
}

async function ready(rounds: number, speed: number): Promise<Setup> {
  await using stack = new AsyncDisposableStack()
  const printer = stack.use(await deskPrinter())
  const log: string[] = []
  const board = (name: Name) =>
    stack.use(
      startSimulatedMarlin({
        speed,
        hasEmergencyParser: name !== 'chamber',
        onExecuted: text => log.push(`${name} ${text}`),
      }),
    )
  const boards = { motion: board('motion'), fibre: board('fibre'), chamber: board('chamber') }
  const words = [...printer.config.printer.profile.words, 'M486', 'M141', 'M191']
  const maxTempC = { hotend: [285, 250], bed: 120, chamber: 60 }
  const profile = { ...printer.config.printer.profile, words, maxTempC }
  const config = { ...printer.config, printer: { ...printer.config.printer, profile } }
  const ports = desktopPorts(openerOf(boards))
  const core = stack.use(await startCore(config, ports, new AbortController().signal))
  await writeFile(join(printer.stick, 'part.mpf'), await seal(printer, program(rounds)))
  await untilEvent(core.journal, ({ type }) => type === 'printer.connected')
  const decided = await untilEvent(core.journal, ({ type }) => /admitted|refused/.test(type))
  if (decided.type !== 'job.admitted') throw new Error(`${decided.code} ${decided.message}`)
  const lifetime = stack.move()
  const id = decided.job ?? ''
  return { core, boards, log, id, [Symbol.asyncDispose]: () => lifetime.disposeAsync() }
}

function ended({ core }: Setup): ReturnType<typeof untilEvent> {
  return untilEvent(core.journal, ({ type }) =>
    /job\.(done|failed|cancelled|interrupted)/.test(type),
  )
}

async function untilRounds({ log }: Setup, rounds: number): Promise<void> {
  while (log.filter(line => line.startsWith('fibre M486')).length < rounds)
    await new Promise(resolve => setImmediate(resolve))
}

const isProgram = (line: string) => / (?:G1 |M486 |M191 )/.test(line)
const ownerOf = (line: string) =>
  line.startsWith('M486') ? 'fibre' : line.startsWith('M191') ? 'chamber' : 'motion'

t.test('the order of the program is kept across controllers', async t => {
  await using setup = await ready(12, 5_000)
  await setup.core.engine.start(setup.id)
  t.match(await ended(setup), { type: 'job.done' })
  const expected = program(12)
    .split('\n')
    .map(line => `${ownerOf(line)} ${line}`)
  t.strictSame(setup.log.filter(isProgram), expected.filter(isProgram))
  t.ok(setup.log.includes('fibre M104 T1 S180'), 'heat of a tool goes to its owner')
  t.notOk(setup.log.includes('motion M104 T1 S180'))
  const heated = setup.log.filter(line => / M1[49]1 S4/.test(line))
  t.strictSame(heated, ['chamber M141 S40', 'chamber M191 S45'])
  t.ok(
    setup.log.indexOf('chamber M191 S45') > setup.log.indexOf('motion G1 Z0.2 F1200'),
    'the wait comes after what is before it',
  )
  for (const name of NAMES) t.ok(setup.log.includes(`${name} M140 S0`), `${name} is switched off`)
  t.ok(setup.log.includes('chamber M141 S0'))
  t.match(
    setup.core.journal.events(0, 99).find(({ type }) => type === 'job.started'),
    {
      detail: {
        stopLayers: 'motion: emergency-parser; fibre: emergency-parser; chamber: queued-command',
      },
    },
  )
  t.strictSame(
    setup.core.machine.views().map(({ name, role }) => `${name} ${role}`),
    ['motion motion', 'fibre fibre', 'chamber chamber'],
  )
})

for (const name of NAMES)
  t.test(`when ${name} is lost the others are switched off, and the end names it`, async t => {
    await using setup = await ready(400, 200)
    await setup.core.engine.start(setup.id)
    await untilRounds(setup, 2)
    const from = setup.log.length
    setup.boards[name].inflict('unplug')
    const end = await ended(setup)
    t.match(end, { type: 'job.interrupted', code: 'DRIVER_PORT_LOST' })
    if (name !== 'motion') t.match(end.message, new RegExp(`^${name}: `))
    const held = await untilEvent(setup.core.journal, ({ type }) => type === 'printer.held')
    t.match(held.message, new RegExp(`${name}: `))
    const after = setup.log.slice(from)
    const isParked = name !== 'motion'
    t.equal(/and parked/.test(held.message), isParked, held.message)
    t.equal(after.includes('motion M84'), isParked)
    for (const other of NAMES.filter(other => other !== name))
      t.ok(after.includes(`${other} M104 T0 S0`), `${other} is switched off`)
  })

t.test('pause, resume and cancel are of all controllers', async t => {
  await using setup = await ready(400, 500)
  const { core, log } = setup
  await core.engine.start(setup.id)
  await untilRounds(setup, 2)
  t.match(await core.engine.pause(), { state: 'paused' })
  for (const name of NAMES) t.ok(log.includes(`${name} M400`), `${name} has drained`)
  const atPause = log.filter(isProgram).length
  await new Promise(resolve => setImmediate(resolve))
  t.equal(log.filter(isProgram).length, atPause, 'nothing goes on')
  t.match(await core.engine.resume(), { state: 'printing' })
  await untilRounds(setup, 6)
  const from = log.length
  t.match(await core.engine.cancel(undefined), { state: 'cancelled' })
  for (const name of NAMES) t.ok(log.slice(from).includes(`${name} M140 S0`), `${name} is off`)
})

t.test('the emergency stop halts every board', async t => {
  await using setup = await ready(400, 200)
  await setup.core.engine.start(setup.id)
  await untilRounds(setup, 1)
  t.match(await setup.core.engine.stop(), { state: 'failed', code: 'JOB_STOPPED' })
  for (const name of NAMES) t.equal(setup.boards[name].summary().isHalted, true, name)
})
