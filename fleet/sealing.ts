/** Seals G-code for a printer while it arrives: through `mpf seal` in a process of its own, from pipe to ciphertext. No plaintext touches a disk. */

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { fileURLToPath } from 'node:url'
import { FleetError } from './errors.ts'
import type { PrinterFiles } from './printers.ts'
import type { Tenant } from './tenant.ts'

const MPF = fileURLToPath(new URL('../bin/mpf', import.meta.url))
const MAX_ERROR_BYTES = 2048
const MAX_TITLE = 64

export interface SealOrder {
  readonly tenant: Tenant
  readonly printer: PrinterFiles
  readonly title: string
  /** Where the sealed file goes. */
  readonly out: string
  readonly uses: number
}

/** @throws FleetError FLEET_SEAL with the tool's own words */
export async function sealStream(gcode: Readable, order: SealOrder): Promise<void> {
  const { tenant, printer, title, out, uses } = order
  const key = (role: string) => join(tenant.directory, 'keys', `${role}.key.pem`)
  const child = spawn(
    MPF,
    [
      ...['seal', '-', '--out', out, '--tenant', tenant.id],
      ...['--title', title.slice(0, MAX_TITLE)],
      ...['--sign', key('publisher'), '--issue', key('issuer'), '--to', printer.keyFile],
      ...['--profile', printer.profileFile, '--uses', String(uses)],
    ],
    { stdio: ['pipe', 'ignore', 'pipe'] },
  )
  let words = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    words = (words + text).slice(0, MAX_ERROR_BYTES)
  })
  const closed = once(child, 'close')
  try {
    // A tool that refuses early closes the pipe: what it says counts, not the broken pipe.
    await pipeline(gcode, child.stdin).catch((error: unknown) => {
      if (error instanceof FleetError) throw error
    })
    const [code] = (await closed) as [number | null]
    if (code !== 0) throw new FleetError('FLEET_SEAL', words.trim().split('\n')[0] ?? 'refused')
  } catch (error) {
    child.kill('SIGKILL')
    await closed
    await rm(out, { force: true })
    throw error
  }
}
