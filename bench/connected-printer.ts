/** A printer as it stands in a shop: core and courier as processes, a simulated board, a broker and a fleet end beside them. */

import { execFileSync, spawn } from 'node:child_process'
import { createPublicKey } from 'node:crypto'
import { once } from 'node:events'
import { access, copyFile, mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { z } from 'zod'
import { type Fleet, type Printer, printer } from '../test/fakes/cloud-bench.ts'
import { prioritise, prioritiseHardware } from './priorities.ts'
import { type Board, startBoard } from './streaming-rivals.ts'

export interface BoardConditions {
  /** Machine seconds in one second. */
  readonly speed: number
  readonly baud: number
}

export interface ConnectedPrinterOptions extends BoardConditions {
  /** Directory of the launchers. */
  readonly programs: string
  /** Members of the courier's slice. */
  readonly cloud?: Readonly<Record<string, unknown>>
  /** A journal to start with. */
  readonly journal?: string | undefined
}

const ROOT = join(import.meta.dirname, '..')

const statusSchema = z.object({
  result: z.object({
    job: z.object({ state: z.string(), progress: z.object({ line: z.int() }) }).nullable(),
    controllers: z.array(
      z.object({
        link: z
          .object({
            okToNextMs: z.object({ p50: z.number().nullable(), p999: z.number().nullable() }),
          })
          .nullish(),
      }),
    ),
  }),
})
export type BenchStatus = z.infer<typeof statusSchema>['result']

export class ConnectedPrinter implements AsyncDisposable {
  readonly desk: Printer
  readonly board: Board
  /** Of the core. */
  readonly pid: number
  readonly #on: Fleet
  readonly #lifetime: AsyncDisposableStack

  private constructor(
    on: Fleet,
    desk: Printer,
    board: Board,
    pid: number,
    lifetime: AsyncDisposableStack,
  ) {
    this.#on = on
    this.desk = desk
    this.board = board
    this.pid = pid
    this.#lifetime = lifetime
  }

  /** Starts board and core; the courier is the caller's to start. */
  static async start(on: Fleet, options: ConnectedPrinterOptions): Promise<ConnectedPrinter> {
    await using stack = new AsyncDisposableStack()
    const { speed, baud } = options
    const desk = await printer(on, 'P-1', options.cloud)
    const place = (name: string) => join(desk.directory, name)
    if (options.journal !== undefined)
      await copyFile(options.journal, place('state/journal.sqlite'))
    const board = await startBoard(['--speed', `${speed}`, '--baud', `${baud}`, '--advanced-ok'])
    stack.defer(async () => void (await board.end([])))
    await mkdir(place('stick'))
    const config = JSON.parse(await readFile(place('config.json'), 'utf8'))
    config.controllers = [
      { name: 'motion', role: 'motion', dialect: 'marlin', port: board.port, baud },
    ]
    config.usb = { mountDirectories: [place('stick')], autoStart: 'start', pollIntervalMs: 500 }
    config.log = { level: 'error' }
    await writeFile(place('config.json'), JSON.stringify(config))
    const core = spawn(join(options.programs, 'mpfd'), ['--config', place('config.json')], {
      stdio: ['ignore', 'ignore', 'inherit'],
    })
    prioritise(core.pid ?? 0, 'mpfd')
    prioritiseHardware(board.pid)
    stack.defer(async () => {
      core.kill('SIGKILL')
      if (core.exitCode === null && core.signalCode === null) await once(core, 'exit')
    })
    const { socket } = desk.config.control
    const isUp = () =>
      access(socket).then(
        () => true,
        () => false,
      )
    while (!(await isUp())) await sleep(50)
    return new ConnectedPrinter(on, desk, board, core.pid ?? 0, stack.move())
  }

  /** Seals the part for this printer with the tenant's keys and plugs it in; resolves once it is hot and moves. */
  async print(gcode: string): Promise<void> {
    const sealed = await sealFor(this.#on, this.desk, gcode)
    await rename(sealed, join(this.desk.directory, 'stick/part.mpf'))
    while (((await this.status()).job?.progress.line ?? 0) < 100) await sleep(200)
  }

  async status(): Promise<BenchStatus> {
    const link = connect(this.desk.config.control.socket)
    link.write(`${JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'status', params: {} })}\n`)
    let text = ''
    for await (const chunk of link) {
      text += chunk
      if (text.endsWith('\n')) break
    }
    return statusSchema.parse(JSON.parse(text)).result
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#lifetime.disposeAsync()
  }
}

/** Seals the part for this printer with the tenant's keys; the sealed file's path. */
export async function sealFor(on: Fleet, desk: Printer, gcode: string): Promise<string> {
  const place = (name: string) => join(desk.directory, name)
  const key = (name: string) => join(on.tenant.directory, `keys/${name}.key.pem`)
  const own = createPublicKey(desk.key)
  await writeFile(place('printer.pub.pem'), own.export({ type: 'spki', format: 'pem' }))
  const out = place('sealed.mpf')
  execFileSync(
    join(ROOT, 'bin/mpf'),
    [
      ...['seal', gcode, '--out', out, '--tenant', on.tenant.id, '--level', '1'],
      ...['--sign', key('publisher'), '--issue', key('issuer'), '--to', place('printer.pub.pem')],
    ],
    { stdio: 'ignore' },
  )
  return out
}
