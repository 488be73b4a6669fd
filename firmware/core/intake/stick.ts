/** One USB mount: what lies in its root, what of it is new and whole, and the way of each file into the spool. */

import { createHash } from 'node:crypto'
import { lstat, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { Clock } from '#lib/clock.ts'
import type { JobOrigin } from '#lib/control-protocol.ts'
import { type FileSource, openFileSource } from '#lib/file-source.ts'
import { CoreError, coreFault } from '../errors.ts'
import { MAX_GRANT_FILE_BYTES } from '../grant-store.ts'
import type { EventEntry } from '../journal/events.ts'
import type { Journal } from '../journal/journal.ts'
import type { Spool } from '../spool.ts'
import { displayName, kindOfName, type NameKind } from './names.ts'

export interface StickPorts {
  readonly clock: Clock
  readonly journal: Journal
  readonly spool: Spool
  readonly newId: () => string
  /** Told of each job received; must not throw. */
  readonly onReceived: (jobId: string) => void
  /** Opens a file of the stick; tests give one whose stick is pulled. */
  readonly openSource?: (path: string) => Promise<FileSource>
  /** Where its files come from; a stick unless said otherwise. */
  readonly origin?: JobOrigin
  /** While true, no sealed file is taken; they wait. */
  readonly isHeld?: () => boolean
  /** Stores a grant that came apart from its file. @throws CoreError INTAKE_GRANT, SPOOL_IO */
  readonly storeGrant?: (bytes: Uint8Array) => Promise<void>
}

/** More print files in one root than any person copies; the rest waits until these are gone. */
const MAX_NAMES = 1000
const QUEUED = ['received', 'ready', 'printing', 'paused', 'interrupted'] as const

interface Found {
  readonly name: string
  readonly kind: NameKind
  readonly isRegular: boolean
  /** Changes with name, time or size: a changed file is another file. FAT numbers its inodes anew at each mount. */
  readonly key: string
}

export class Stick {
  readonly #directory: string
  readonly #settleMs: number
  readonly #ports: StickPorts
  /** First time each present file was seen in its present shape. */
  #firstSeenMs = new Map<string, number>()
  /** Present files dealt with without a lasting mark: retried once the file changes or the stick comes back. */
  readonly #setAside = new Set<string>()
  /** Files the spool had no room for, with its fill level then: retried once it has fallen. */
  readonly #waiting = new Map<string, number>()

  /** `settleMs`: how long a file must keep its size and time before it counts as completely written. */
  constructor(directory: string, settleMs: number, ports: StickPorts) {
    this.#directory = directory
    this.#settleMs = settleMs
    this.#ports = ports
  }

  /** Looks once, takes what is new and settled. Rejects only with `signal.reason` or a journal fault. */
  async scan(signal: AbortSignal): Promise<void> {
    const found = await this.#look()
    this.#forgetMissing(found)
    const nowMs = this.#ports.clock.nowMs()
    for (const file of found) {
      signal.throwIfAborted()
      const firstSeenMs = this.#firstSeenMs.get(file.key) ?? nowMs
      this.#firstSeenMs.set(file.key, firstSeenMs)
      const isSettled = nowMs - firstSeenMs >= this.#settleMs
      const isWaiting = file.kind === 'sealed' && this.#ports.isHeld?.() === true
      if (isSettled && !isWaiting && !this.#isDealtWith(file.key)) await this.#deal(file, signal)
    }
  }

  async #look(): Promise<readonly Found[]> {
    // No stick, or one pulled this moment: the same as an empty one.
    const names = await readdir(this.#directory).catch(() => [])
    const found: Found[] = []
    const kinds = names.map(name => ({ name, kind: kindOfName(name) }))
    const plaintext = kinds.filter(({ kind }) => kind === 'plaintext')
    // Whatever else lies there, sealed files come first.
    const wanted = kinds.filter(({ kind }) => kind === 'sealed' || kind === 'grant')
    for (const { name, kind } of [...wanted, ...plaintext].slice(0, MAX_NAMES)) {
      const stats = await lstat(join(this.#directory, name), { bigint: true }).catch(
        () => undefined,
      )
      if (stats === undefined || stats.isDirectory()) continue
      const shape = `${this.#directory}\0${name}\0${stats.mtimeNs}\0${stats.size}`
      const key = createHash('sha256').update(shape).digest('hex')
      found.push({ name, kind, isRegular: stats.isFile(), key })
    }
    return found
  }

  /** Only what this process has seen present can go missing: a stick mounted late after a boot has not left. */
  #forgetMissing(found: readonly Found[]): void {
    const present = new Set(found.map(({ key }) => key))
    for (const key of this.#firstSeenMs.keys()) {
      if (present.has(key)) continue
      this.#firstSeenMs.delete(key)
      this.#setAside.delete(key)
      this.#waiting.delete(key)
      if (this.#ports.journal.wasSeen(key)) this.#ports.journal.forgetSighting(key)
    }
  }

  #isDealtWith(key: string): boolean {
    const refusedAtBytes = this.#waiting.get(key)
    if (refusedAtBytes !== undefined) return this.#ports.spool.usedBytes >= refusedAtBytes
    return this.#setAside.has(key) || this.#ports.journal.wasSeen(key)
  }

  async #deal(file: Found, signal: AbortSignal): Promise<void> {
    const name = displayName(file.name)
    const { journal } = this.#ports
    if (file.kind === 'plaintext')
      journal.recordSighting(
        refusal('intake.plaintext_refused', name, 'INTAKE_PLAINTEXT', 'not a sealed print file'),
        file.key,
      )
    else if (!file.isRegular)
      journal.recordSighting(
        refusal('intake.refused', name, 'INTAKE_NOT_REGULAR', 'not a regular file'),
        file.key,
      )
    else if (file.kind === 'grant') await this.#takeGrant(file, name)
    else await this.#take(file, name, signal)
  }

  async #take(file: Found, name: string, signal: AbortSignal): Promise<void> {
    try {
      await this.#copy(file, name, signal)
      this.#waiting.delete(file.key)
    } catch (error) {
      signal.throwIfAborted()
      const fault =
        error instanceof CoreError ? error : coreFault('SPOOL_IO', 'the copy failed', error)
      if (fault.code.startsWith('JOURNAL_')) throw fault
      this.#refuse(file, name, fault)
    }
  }

  async #takeGrant(file: Found, name: string): Promise<void> {
    const { journal, storeGrant } = this.#ports
    try {
      await using source = await openStickFile(join(this.#directory, file.name))
      if (source.sizeBytes > MAX_GRANT_FILE_BYTES)
        throw new CoreError('INTAKE_GRANT', `${source.sizeBytes} bytes`)
      const bytes = await source.read(0, source.sizeBytes)
      if (!storeGrant) throw new CoreError('INTAKE_GRANT', 'grants are not taken here')
      await storeGrant(bytes)
      const detail = { bytes: bytes.length }
      journal.recordSighting({ type: 'grant.stored', message: 'stored', detail }, file.key)
    } catch (error) {
      if (!(error instanceof CoreError) || error.code.startsWith('JOURNAL_')) throw error
      if (error.code === 'INTAKE_GRANT')
        journal.recordSighting(refusal('grant.refused', name, error.code, error.message), file.key)
      else this.#refuse(file, name, error)
    }
  }

  async #copy(file: Found, name: string, signal: AbortSignal): Promise<void> {
    const { journal, spool, newId, onReceived, origin = 'usb' } = this.#ports
    const open = this.#ports.openSource ?? openStickFile
    await using source = await open(join(this.#directory, file.name))
    const id = newId()
    const copied = await spool.take(source, id, signal)
    const twin = journal.jobs(QUEUED).find(job => job.sha256 === copied.sha256)
    if (twin) {
      await spool.remove(id)
      journal.recordSighting(
        {
          type: 'intake.duplicate',
          job: twin.id,
          message: 'these bytes are already in the queue',
          detail: { name },
        },
        file.key,
      )
      return
    }
    const entry: EventEntry = {
      type: 'job.received',
      job: id,
      message: `${copied.sizeBytes} bytes copied`,
      detail: { sizeBytes: copied.sizeBytes, sha256: copied.sha256, origin },
    }
    journal.receive({ id, name, origin, ...copied }, entry, file.key)
    onReceived(id)
  }

  #refuse(file: Found, name: string, error: CoreError): void {
    const { journal, spool } = this.#ports
    if (error.code === 'INTAKE_SIZE') {
      const entry = refusal('intake.refused', name, error.code, error.message)
      journal.recordSighting(entry, file.key)
      return
    }
    if (error.code.startsWith('SPOOL_')) {
      this.#waiting.set(file.key, spool.usedBytes)
      journal.record(refusal('intake.spool_refused', name, error.code, error.message))
      return
    }
    this.#setAside.add(file.key)
    journal.record(refusal('intake.interrupted', name, error.code, error.message))
  }
}

function refusal(
  type: EventEntry['type'],
  name: string,
  code: string,
  message: string,
): EventEntry {
  return { type, code, message, detail: { name } }
}

function openStickFile(path: string): Promise<FileSource> {
  return openFileSource(path, (message, cause) => coreFault('INTAKE_INTERRUPTED', message, cause))
}
