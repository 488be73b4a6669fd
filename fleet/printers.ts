/** What the fleet end knows of the printers it seals for: public key and limits, one directory each. */

import { createPublicKey } from 'node:crypto'
import { access, mkdir, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { FleetError } from './errors.ts'

const SERIAL = /^[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}$/

export interface PrinterFiles {
  /** PEM of its public key. */
  readonly keyFile: string
  /** Its `mpfd` configuration, of which the limits count. */
  readonly profileFile: string
}

/** @throws FleetError FLEET_FILE when the key is none or the serial cannot be one */
export async function registerPrinter(
  tenantDirectory: string,
  serial: string,
  printer: { readonly key: string; readonly profile: string },
): Promise<void> {
  if (!SERIAL.test(serial)) throw new FleetError('FLEET_FILE', 'not a serial')
  try {
    createPublicKey(printer.key)
    JSON.parse(printer.profile)
  } catch (cause) {
    throw new FleetError('FLEET_FILE', 'not a public key and a configuration', { cause })
  }
  const files = filesOf(tenantDirectory, serial)
  await mkdir(join(tenantDirectory, 'printers', serial), { recursive: true })
  await writeFile(files.keyFile, printer.key)
  await writeFile(files.profileFile, printer.profile)
}

/** @throws FleetError FLEET_PRINTER_UNKNOWN */
export async function findPrinter(tenantDirectory: string, serial: string): Promise<PrinterFiles> {
  const files = filesOf(tenantDirectory, serial)
  const isKnown =
    SERIAL.test(serial) &&
    (await access(files.profileFile).then(
      () => true,
      () => false,
    ))
  if (!isKnown) throw new FleetError('FLEET_PRINTER_UNKNOWN', 'no key of this printer is known')
  return files
}

/** Serials of the printers files can be sealed for. */
export async function listPrinters(tenantDirectory: string): Promise<readonly string[]> {
  return readdir(join(tenantDirectory, 'printers')).catch(() => [])
}

function filesOf(tenantDirectory: string, serial: string): PrinterFiles {
  const place = join(tenantDirectory, 'printers', serial)
  return { keyFile: join(place, 'recipient.pem'), profileFile: join(place, 'mpfd.json') }
}
