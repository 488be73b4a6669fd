/** The demo's first part: a part from G-code to the wire by USB stick, through the real programs, with a byte-for-byte proof. */

import { copyFile, mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { type DemoPrinter, startPrinter } from './printer.ts'
import type { Tools } from './processes.ts'
import { directoryStick, imageStick } from './stick.ts'

export async function printFromStick(
  tools: Tools,
  directory: string,
  part: { readonly gcode: string; readonly isImage: boolean },
): Promise<void> {
  const { report } = tools
  const { gcode, isImage } = part
  report.part('By USB stick')
  await using stack = new AsyncDisposableStack()
  const place = (name: string) => join(directory, name)
  await mkdir(place('keys'), { recursive: true })
  const stick = stack.use(
    isImage
      ? await imageStick(place('stick'), place('stick.img'))
      : await directoryStick(place('stick')),
  )
  report.say(`the stick is ${stick.description}`)

  report.step('Keys: a publisher signs files, an issuer signs grants, a printer opens them')
  for (const name of ['publisher', 'issuer', 'printer'])
    await tools.run('mpf', ['keygen', place(`keys/${name}`)])
  const trust = await tools.run('mpf', [
    ...['trust', '--publish', place('keys/publisher.pub.pem')],
    ...['--grant', place('keys/issuer.pub.pem'), '--out', place('trust.json'), '--json'],
  ])
  const { tenant } = JSON.parse(trust) as { tenant: string }

  report.step('A simulated Marlin on a real pseudo-terminal, and mpfd on its port')
  const printer = stack.use(
    await startPrinter(tools, {
      ...{ directory, tenant, gcode, serial: 'DEMO-0001' },
      settings: {
        usb: { mountDirectories: [stick.path], autoStart: 'ask', pollIntervalMs: 250 },
        trust: { bundleFile: place('trust.json') },
        keys: { printerKeyFile: place('keys/printer.key.pem') },
      },
    }),
  )
  await printer.ctl(['status'], true)

  report.step('Seal the part for this printer: encrypted, signed, one print allowed')
  await tools.run('mpf', [
    ...['seal', gcode, '--out', place('part.mpf'), '--tenant', tenant],
    ...['--sign', place('keys/publisher.key.pem'), '--issue', place('keys/issuer.key.pem')],
    ...['--to', place('keys/printer.pub.pem'), '--uses', '1', '--profile', printer.config],
    ...['--level', '9'],
  ])

  report.step('Put it on the stick; mpfd copies, verifies and preflights every line of it')
  await copyFile(place('part.mpf'), join(stick.path, 'part.mpf'))
  await printer.untilJob('ready')
  await printer.ctl(['jobs'], true)
  await printAndRecord(tools, printer, place('control.sock'))
  await printer.conclude()
}

async function printAndRecord(tools: Tools, printer: DemoPrinter, socket: string): Promise<void> {
  const { report } = tools
  report.step(`Print it (${printer.speed} times real speed)`)
  await printer.ctl(['print'])
  await tools.show('mpfctl', ['--socket', socket, 'watch'])

  report.step('What is recorded')
  await printer.ctl(['jobs'], true)
  await printer.ctl(['events'], true)
  const verified = JSON.parse(await printer.ctl(['--json', 'events', '--verify'])) as {
    readonly entries: number
    readonly intact: boolean
  }
  report.claim(
    "the printer's event log is an unbroken chain",
    verified.intact && verified.entries > 0,
    `${verified.entries} events`,
  )
}
