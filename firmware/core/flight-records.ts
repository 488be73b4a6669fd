/** What went over the wire before a fault, kept on disk for whoever looks into it: redacted by the driver, few, oldest dropped. */

import { mkdir, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { FlightEntry } from '#drivers'
import { writeFileAtomically } from '#lib/atomic-file.ts'

const KEPT = 8
/** On hold as evidence; more would fill the disk. */
const KEPT_ON_HOLD = 256
const DIRECTORY_MODE = 0o700
const FILE_MODE = 0o600
const NAME = /^\d{13}-[\w-]{1,64}\.jsonl$/

export class FlightRecords {
  readonly #directory: string
  readonly #isHeld: () => boolean

  /** While `isHeld`, nothing is dropped up to 256. */
  constructor(directory: string, isHeld: () => boolean = () => false) {
    this.#directory = directory
    this.#isHeld = isHeld
  }

  /**
   * Writes one record, a JSON object a line, and drops the oldest beyond eight. Resolves with its name. Rejects with the system's error.
   * `about`: the job, or the controller.
   */
  async keep(entries: readonly FlightEntry[], atMs: number, about: string): Promise<string> {
    await mkdir(this.#directory, { recursive: true, mode: DIRECTORY_MODE })
    const name = `${String(Math.trunc(atMs)).padStart(13, '0')}-${about.replace(/[^\w-]/g, '').slice(0, 64)}.jsonl`
    const lines = entries.map(
      entry => `${JSON.stringify({ ...entry, atNs: String(entry.atNs) })}\n`,
    )
    await writeFileAtomically(join(this.#directory, name), Buffer.from(lines.join('')), {
      mode: FILE_MODE,
    })
    const names = (await readdir(this.#directory)).filter(found => NAME.test(found)).sort()
    for (const old of names.slice(0, this.#isHeld() ? -KEPT_ON_HOLD : -KEPT))
      await rm(join(this.#directory, old), { force: true })
    return name
  }
}
