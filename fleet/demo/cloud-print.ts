/** The demo's second part: a printer enrolled, a part sent over MQTT, locked and unlocked, watched, and its log proven at the fleet end. */

import { X509Certificate } from 'node:crypto'
import { mkdir, readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type FleetEnd, startFleetEnd, until } from './fleet-end.ts'
import { concludeLog, concludeTelemetry } from './fleet-proof.ts'
import { type DemoPrinter, startPrinter } from './printer.ts'
import { type RunningProgram, startProgram, type Tools } from './processes.ts'

const SERIAL = 'DEMO-0002'

export async function printOverMqtt(tools: Tools, directory: string, gcode: string): Promise<void> {
  const { report } = tools
  report.part('Over a broker nobody has to trust')
  const place = (name: string) => join(directory, name)
  await mkdir(place('keys'), { recursive: true })
  await mkdir(place('drop'))
  await using stack = new AsyncDisposableStack()

  report.step('The fleet end: a tenant, a broker, a worker that receives and enrols')
  const fleet = stack.use(await startFleetEnd(tools, place('fleet')))

  report.step('A second printer, without any certificate yet')
  await tools.run('mpf', ['keygen', place('keys/printer')])
  const printer = stack.use(
    await startPrinter(tools, {
      ...{ directory, gcode, tenant: fleet.tenant, serial: SERIAL },
      settings: settingsOf(directory, fleet),
    }),
  )
  await enrol(tools, fleet, printer, directory)
  const courier = stack.use(await connect(tools, fleet, printer, directory, 'courier.log'))
  await sendPart(tools, fleet, printer, gcode, directory)
  await lockAndUnlock(tools, fleet, printer)

  report.step(`Print it (${printer.speed} times real speed), watched from the fleet end`)
  await printer.ctl(['print'])
  await tools.show('mpfctl', ['--socket', place('control.sock'), 'watch'])
  await concludeTelemetry(tools, fleet, SERIAL)
  await fleet.run(['watch', SERIAL, '--once'], true)

  report.step('The event log at the fleet end: signed by the printer, cosigned, verified offline')
  await courier.stop()
  stack.use(await connect(tools, fleet, printer, directory, 'courier-again.log'))
  await concludeLog(tools, fleet, SERIAL, place('evidence'))
  await printer.conclude()
}

function settingsOf(directory: string, fleet: FleetEnd): Readonly<Record<string, unknown>> {
  const place = (name: string) => join(directory, name)
  return {
    usb: { pollIntervalMs: 250 },
    intake: { dropDirectory: place('drop') },
    trust: { bundleFile: join(fleet.directory, 'trust.json') },
    keys: { printerKeyFile: place('keys/printer.key.pem') },
    cloud: {
      endpoints: [fleet.broker],
      caFile: fleet.ca,
      identityDirectory: place('identity'),
      stateDirectory: place('courier'),
      enrolUrl: fleet.enrolUrl,
      sampleIntervalMs: 1000,
      batchSamples: 2,
    },
  }
}

async function enrol(
  tools: Tools,
  fleet: FleetEnd,
  { config }: DemoPrinter,
  directory: string,
): Promise<void> {
  const { report } = tools
  report.step('Enrol it: a token used once, a key made on the printer, a certificate (EST)')
  const token = (await fleet.run(['token', SERIAL])).trim()
  const args = ['--config', config, 'enrol', '--url', fleet.enrolUrl, '--token', token]
  await tools.run('mpfd-cloud', args)
  const root = new X509Certificate(await readFile(fleet.ca))
  const found = await certificatesIn(join(directory, 'identity'))
  const own = found.find(({ subject }) => subject === `CN=${SERIAL}`)
  report.claim(
    'the printer holds a certificate of this fleet in its own name',
    own?.verify(root.publicKey) === true,
    `${own?.subject ?? 'none'}, until ${own?.validTo ?? '?'}`,
  )
  const again = await tools.attempt('mpfd-cloud', args)
  const isRefused = again.code !== 0 && again.errors.includes('FLEET_TOKEN')
  report.claim('the token cannot be used again', isRefused, isRefused ? 'FLEET_TOKEN' : 'accepted')
}

async function certificatesIn(directory: string): Promise<readonly X509Certificate[]> {
  const files = await readdir(directory, { recursive: true, withFileTypes: true })
  const texts = await Promise.all(
    files
      .filter(file => file.isFile())
      .map(file => readFile(join(file.parentPath, file.name), 'utf8')),
  )
  return texts
    .filter(text => text.includes('BEGIN CERTIFICATE'))
    .map(text => new X509Certificate(text))
}

async function connect(
  tools: Tools,
  fleet: FleetEnd,
  { config }: DemoPrinter,
  directory: string,
  log: string,
): Promise<RunningProgram> {
  const before = sessionOf(fleet)
  tools.report.command(`mpfd-cloud --config ${config.replace(`${directory}/`, '')} &`)
  const courier = startProgram('mpfd-cloud', ['--config', config], join(directory, log))
  await until('the printer is connected', tools, () => {
    courier.expectRunning()
    return sessionOf(fleet) > before
  })
  return courier
}

function sessionOf({ store }: FleetEnd): number {
  const state = (store.fact(SERIAL, 'state') ?? {}) as { online?: boolean; session?: number }
  return state.online === true ? (state.session ?? 0) : -1
}

async function sendPart(
  tools: Tools,
  fleet: FleetEnd,
  printer: DemoPrinter,
  gcode: string,
  directory: string,
): Promise<void> {
  const { report } = tools
  report.step('Seal a part for it and send it over MQTT, block by block')
  const place = (name: string) => join(directory, name)
  const sealed = place('part.mpf')
  const key = (name: string) => join(fleet.directory, 'keys', `${name}.key.pem`)
  await tools.run('mpf', [
    ...['seal', gcode, '--out', sealed, '--tenant', fleet.tenant, '--sign', key('publisher')],
    ...['--issue', key('issuer'), '--to', place('keys/printer.pub.pem'), '--uses', '1'],
    ...['--profile', printer.config, '--level', '9'],
  ])
  const { store } = fleet
  await fleet.run(['jobs', 'send', sealed, '--to', SERIAL, '--broker', fleet.broker], true)
  await printer.untilJob('ready')
  await printer.ctl(['jobs'], true)
  const bytes = (await readFile(sealed)).length
  const received = () => store.items(SERIAL, 'evt', 0, 1000)
  await until('the fleet end hears of it', tools, () => received().some(isEvent('job.admitted')))
  const refusals = received().filter(isEvent('job.refused')).length
  report.claim(
    'the part came whole, was verified and preflighted, and the fleet end knows',
    received().some(isEvent('job.received')) && refusals === 0,
    `${bytes} bytes sealed, job.received and job.admitted are at the fleet end`,
  )
}

function isEvent(type: string): (item: { readonly value: unknown }) => boolean {
  return ({ value }) => (value as { unmapped: { type: string } }).unmapped.type === type
}

async function lockAndUnlock(tools: Tools, fleet: FleetEnd, printer: DemoPrinter): Promise<void> {
  const { report } = tools
  report.step('Lock it from afar: a locked printer starts nothing, whoever asks')
  const locked = await fleet.command(SERIAL, 'lock', ['--arg', 'security=true'])
  const start = await tools.attempt('mpfctl', [
    ...['--socket', join(printer.config, '../control.sock'), '--json', 'print'],
  ])
  const said = start.output + start.errors
  report.claim(
    'a locked printer refuses to start',
    locked.outcome === 'done' && start.code !== 0 && said.includes('PRINTER_LOCKED'),
    said.includes('PRINTER_LOCKED') ? `PRINTER_LOCKED, exit status ${start.code}` : said.trim(),
  )
  const sent = printer.executed()
  report.claim('and not one command of the part was sent', sent === 0, `${sent} commands executed`)
  const alone = await fleet.command(SERIAL, 'unlock')
  report.claim(
    'one authority alone cannot unlock it',
    alone.outcome === 'refused' && alone.code === 'COMMAND_SIGNERS',
    `${alone.outcome} ${alone.code ?? ''}`,
  )
  const both = await fleet.command(SERIAL, 'unlock', ['--both'])
  report.claim('two authorities can', both.outcome === 'done', `${both.outcome} ${both.code ?? ''}`)
}
