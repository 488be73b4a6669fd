/** A simulated board as a process of its own, with its own event loop and its own port. */
import { createWriteStream, type WriteStream } from 'node:fs'
import { parseArgs } from 'node:util'
import { DIALECT_NAMES } from '../dialect.ts'
import { type SimulatedMarlinOptions, startSimulatedMarlin } from './board.ts'
import { parseFaults } from './faults.ts'

const { values } = parseArgs({
  options: {
    baud: { type: 'string', default: '0' },
    speed: { type: 'string', default: '1' },
    'advanced-ok': { type: 'boolean', default: false },
    'no-emergency-parser': { type: 'boolean', default: false },
    'no-autoreport': { type: 'boolean', default: false },
    meatpack: { type: 'boolean', default: false },
    dialect: { type: 'string', default: 'marlin' },
    'ring-bytes': { type: 'string' },
    'buffer-lines': { type: 'string' },
    link: { type: 'string' },
    fault: { type: 'string', multiple: true, default: [] },
    'executed-fd': { type: 'string' },
    /** Does not outlive who started it: ends with its standard input. */
    attached: { type: 'boolean', default: false },
  },
})

const executedFd = values['executed-fd']
const executed: WriteStream | undefined =
  executedFd === undefined ? undefined : createWriteStream('', { fd: Number(executedFd) })
let unwritten = ''

function flushExecuted(): void {
  if (unwritten !== '') executed?.write(unwritten, 'latin1')
  unwritten = ''
}

// One write a turn of the event loop, not one a command.
function record(text: string): void {
  if (unwritten === '') setImmediate(flushExecuted)
  unwritten += `${text}\n`
}

const dialect = DIALECT_NAMES.find(name => name === values.dialect)
if (!dialect) throw new RangeError(`unknown dialect: ${values.dialect}`)

const options: SimulatedMarlinOptions = {
  baud: Number(values.baud),
  speed: Number(values.speed),
  hasAdvancedOk: values['advanced-ok'],
  hasEmergencyParser: !values['no-emergency-parser'],
  hasAutoreport: !values['no-autoreport'],
  hasMeatPack: values.meatpack,
  dialect,
  ...(values['ring-bytes'] === undefined ? {} : { ringBytes: Number(values['ring-bytes']) }),
  ...(values['buffer-lines'] === undefined ? {} : { bufferLines: Number(values['buffer-lines']) }),
  ...(values.link === undefined ? {} : { linkPath: values.link }),
  faults: parseFaults(values.fault.join(',')),
  ...(executed ? { onExecuted: record } : {}),
}
const board = startSimulatedMarlin(options)
process.stdout.write(`${JSON.stringify({ port: board.port })}\n`)

process.once('SIGTERM', end)
if (values.attached) process.stdin.resume().once('end', end)

// Who started it was killed: nobody reads the summary.
process.stdout.on('error', () => process.exit())

function end(): void {
  process.stdout.write(`${JSON.stringify(board.summary())}\n`)
  flushExecuted()
  executed?.end()
  void board[Symbol.asyncDispose]()
  process.stdin.destroy()
}
