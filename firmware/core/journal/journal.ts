/** The durable truth about jobs, uses, floors and events. A job's new state and its event are one transaction. */

import type { DatabaseSync } from 'node:sqlite'
import { z } from 'zod'
import type { EventView, JobState } from '#lib/control-protocol.ts'
import { MpfError } from '#mpf'
import { CoreError } from '../errors.ts'
import {
  type JournalObserver,
  openDatabase,
  statement,
  transact,
  transactAhead,
} from './database.ts'
import { type ChainVerdict, EventLog, type TimeStamp } from './event-log.ts'
import type { EventEntry } from './events.ts'
import { type Floor, type FloorKind, raiseFloor, readFloor } from './floors.ts'
import {
  type AdmittedFacts,
  type EndReason,
  type JobRecord,
  jobOfRow,
  type ReceivedJob,
  SELECT_JOBS,
} from './job-record.ts'
import { isFinal, type JobEvent, stateAfter } from './job-states.ts'
import { dropSighting, keepSighting, wasSighted } from './sightings.ts'
import { WriteAhead } from './write-ahead.ts'

const usedRow = z.object({ used: z.int() })

const jobsRow = z.object({ jobs: z.int() })

export interface JournalOptions {
  readonly path: string
  /** Called inside each transaction: the time of the record. */
  readonly stamp: () => TimeStamp
  readonly observer?: JournalObserver | undefined
  /** Names this boot of the computer; kept with each checkpoint. */
  readonly bootId?: string | undefined
}

export class Journal implements Disposable {
  readonly #database: DatabaseSync
  readonly #ahead: WriteAhead
  readonly #events: EventLog
  readonly #stamp: () => TimeStamp
  readonly #observer: JournalObserver | undefined
  readonly #bootId: string | null
  readonly #titles = new Map<string, string>()
  readonly #listeners = new Set<(event: EventView) => void>()

  /** @throws CoreError JOURNAL_FOREIGN, JOURNAL_CORRUPT. */
  constructor(options: JournalOptions) {
    this.#database = openDatabase(options.path)
    this.#ahead = new WriteAhead(options.path)
    this.#events = new EventLog(this.#database)
    this.#stamp = options.stamp
    this.#observer = options.observer
    this.#bootId = options.bootId ?? null
  }

  [Symbol.dispose](): void {
    this.#database.close()
    this.#ahead[Symbol.dispose]()
  }

  /** Records an event that changes no job. Returns once it is durable. @throws CoreError JOURNAL_WRITE. */
  record(entry: EventEntry): EventView {
    return this.#commit(entry, () => undefined)
  }

  /** A file is complete in the spool: its job, `received`. `sighting` marks the file it was copied from as taken. */
  receive(job: ReceivedJob, entry: EventEntry, sighting?: string): JobRecord {
    this.#commit(entry, stamp => {
      statement(
        this.#database,
        `INSERT INTO jobs (id, arrival, name, state, origin, size_bytes, sha256, received_at_ms)
           VALUES (?, (SELECT coalesce(max(arrival), 0) + 1 FROM jobs), ?, 'received', ?, ?, ?, ?)`,
      ).run(job.id, job.name, job.origin, job.sizeBytes, job.sha256, stamp.atMs)
      if (sighting !== undefined) keepSighting(this.#database, sighting, stamp.atMs)
    })
    return this.job(job.id)
  }

  /** Every check passed: `ready`, with what admission learned; the floors rise in the same transaction. */
  admit(id: string, facts: AdmittedFacts, floors: readonly Floor[]): JobRecord {
    const { fileId, manifestDigest, grantId, usesGranted, lines, layers } = facts
    const entry: EventEntry = {
      type: 'job.admitted',
      job: id,
      message: `${lines} lines in ${layers} layers passed every check`,
      detail: { file: fileId, manifest: manifestDigest, grant: grantId, usesGranted },
    }
    this.#commit(entry, () => {
      this.#move(id, 'admitted')
      statement(
        this.#database,
        `UPDATE jobs SET file_id = ?, manifest_digest = ?, grant_id = ?, uses_granted = ?, lines = ?, layers = ? WHERE id = ?`,
      ).run(fileId, manifestDigest, grantId, usesGranted, lines, layers, id)
      for (const floor of floors) raiseFloor(this.#database, floor)
    })
    this.entitle(id, facts.title)
    return this.job(id)
  }

  /** What the job's file says it is: sealed, so that it is kept in memory only, until the file is opened again. */
  entitle(id: string, title: string | null): void {
    if (title !== null) this.#titles.set(id, title)
  }

  /**
   * Charges one use of the grant and moves the job to `printing`, in one durable transaction.
   * `more` is said in the event beside it. Call before the first byte goes to the controller, and never again for the same job.
   * @throws MpfError MPF_USES when every granted use is charged; CoreError JOB_STATE, JOURNAL_WRITE.
   */
  chargeAndStart(
    id: string,
    grantId: string,
    usesGranted: number,
    more: EventEntry['detail'] = {},
  ): JobRecord {
    const job = this.job(id)
    const use = this.usesOf(grantId) + 1
    const entry: EventEntry = {
      type: 'job.started',
      job: id,
      message: `use ${use} of ${usesGranted === 0 ? 'unlimited' : usesGranted} charged`,
      detail: { grant: grantId, use, usesGranted, file: job.fileId, ...more },
    }
    this.#commit(entry, stamp => {
      // Counted again inside the transaction: the number charged is the number checked.
      const used = this.usesOf(grantId)
      if (usesGranted !== 0 && used >= usesGranted)
        throw new MpfError('MPF_USES', `${used} of ${usesGranted} uses charged`)
      this.#move(id, 'started')
      statement(
        this.#database,
        'INSERT INTO uses (grant_id, use, job, at_ms) VALUES (?, ?, ?, ?)',
      ).run(grantId, used + 1, id, stamp.atMs)
      statement(this.#database, 'UPDATE jobs SET started_at_ms = ? WHERE id = ?').run(
        stamp.atMs,
        id,
      )
    })
    return this.job(id)
  }

  /** Moves a job along the table and records `entry`, in one transaction; `ackedLine` becomes durable with it. */
  advance(
    id: string,
    event: Exclude<JobEvent, 'admitted' | 'started'>,
    entry: EventEntry,
    end: { readonly reason?: EndReason | undefined; readonly ackedLine?: number | undefined } = {},
  ): JobRecord {
    this.#commit(entry, stamp => {
      const state = this.#move(id, event)
      if (end.ackedLine !== undefined) this.#keepProgress(id, end.ackedLine)
      // An interrupted job says why; one that goes on has nothing to say.
      statement(
        this.#database,
        'UPDATE jobs SET ended_at_ms = ?, code = ?, message = ? WHERE id = ?',
      ).run(
        isFinal(state) ? stamp.atMs : null,
        end.reason?.code ?? null,
        end.reason?.message ?? null,
        id,
      )
    })
    return this.job(id)
  }

  /**
   * Keeps the last acknowledged line: a page or two of flash, so call it seldom. Resolves once it is durable; this thread does not wait
   * for the disk. Rejects with CoreError JOURNAL_WRITE.
   */
  async checkpoint(id: string, ackedLine: number): Promise<void> {
    transactAhead(this.#database, () => this.#keepProgress(id, ackedLine))
    await this.#ahead.sync()
    this.#observer?.step('checkpointed')
  }

  /** True while the computer has not been started anew since the job's line was kept. */
  isSameBoot(job: JobRecord): boolean {
    return this.#bootId !== null && job.ackedBoot === this.#bootId
  }

  /** @throws CoreError JOB_UNKNOWN. */
  job(id: string): JobRecord {
    const row = statement(this.#database, `${SELECT_JOBS} WHERE jobs.id = ?`).get(id)
    if (row === undefined) throw new CoreError('JOB_UNKNOWN', `no job ${id}`)
    return jobOfRow(row, this.#titles)
  }

  /** The one job whose id starts with `prefix`. @throws CoreError JOB_UNKNOWN, JOB_AMBIGUOUS. */
  findJob(prefix: string): JobRecord {
    const rows = statement(
      this.#database,
      `${SELECT_JOBS} WHERE substr(jobs.id, 1, length(?)) = ? LIMIT 2`,
    ).all(prefix, prefix)
    if (rows.length > 1) throw new CoreError('JOB_AMBIGUOUS', `several jobs start with ${prefix}`)
    if (rows[0] === undefined) throw new CoreError('JOB_UNKNOWN', `no job ${prefix}`)
    return jobOfRow(rows[0], this.#titles)
  }

  /** Jobs in order of arrival, all or those in one of `states`; the newest `limit` of them. */
  jobs(states?: readonly JobState[], limit = 1000): readonly JobRecord[] {
    const where = states ? `WHERE state IN (${states.map(() => '?').join(', ')})` : ''
    const rows = statement(
      this.#database,
      `${SELECT_JOBS} ${where} ORDER BY arrival DESC LIMIT ?`,
    ).all(...(states ?? []), limit)
    return rows.map(row => jobOfRow(row, this.#titles)).reverse()
  }

  hasJob(id: string): boolean {
    return statement(this.#database, 'SELECT 1 FROM jobs WHERE id = ?').get(id) !== undefined
  }

  /** How many jobs are in `state`. */
  count(state: JobState): number {
    const row = statement(this.#database, 'SELECT count(*) AS jobs FROM jobs WHERE state = ?').get(
      state,
    )
    return jobsRow.parse(row).jobs
  }

  /** Uses charged to a grant so far. */
  usesOf(grantId: string): number {
    const row = statement(
      this.#database,
      'SELECT count(*) AS used FROM uses WHERE grant_id = ?',
    ).get(grantId)
    return usedRow.parse(row).used
  }

  /** The stored floor, 0 when none was raised. */
  floor(kind: FloorKind, key = ''): number {
    return readFloor(this.#database, kind, key)
  }

  raiseFloor(floor: Floor): void {
    transact(this.#database, this.#observer, () => raiseFloor(this.#database, floor))
  }

  /** True when this very file (name, inode, time, size) was dealt with before. */
  wasSeen(sighting: string): boolean {
    return wasSighted(this.#database, sighting)
  }

  /** Records an event about a file on a stick and that the file was dealt with. */
  recordSighting(entry: EventEntry, sighting: string): void {
    this.#commit(entry, stamp => keepSighting(this.#database, sighting, stamp.atMs))
  }

  /** The file left the stick, or the stick left: what comes back is a new arrival. */
  forgetSighting(sighting: string): void {
    transact(this.#database, this.#observer, () => {
      dropSighting(this.#database, sighting)
    })
  }

  events(after: number, limit: number): readonly EventView[] {
    return this.#events.list(after, limit)
  }

  lastSequence(): number {
    return this.#events.lastSequence()
  }

  verifyEvents(signal: AbortSignal): Promise<ChainVerdict> {
    return this.#events.verify(signal)
  }

  /** Calls `listener` with each event once it is durable, until the returned handle is disposed. */
  onEvent(listener: (event: EventView) => void): Disposable {
    this.#listeners.add(listener)
    return { [Symbol.dispose]: () => this.#listeners.delete(listener) }
  }

  #commit(entry: EventEntry, change: (stamp: TimeStamp) => void): EventView {
    const event = transact(this.#database, this.#observer, () => {
      const { atMs, quality, floorMs = atMs } = this.#stamp()
      const stamp = { atMs: Math.trunc(atMs), quality }
      change(stamp)
      // The clock of the next start may know less than this one.
      raiseFloor(this.#database, { kind: 'trusted-time', key: '', value: Math.trunc(floorMs) })
      return this.#events.append(entry, stamp)
    })
    for (const listener of this.#listeners) listener(event)
    return event
  }

  #move(id: string, event: JobEvent): JobState {
    const state = stateAfter(this.job(id).state, event)
    statement(this.#database, 'UPDATE jobs SET state = ? WHERE id = ?').run(state, id)
    return state
  }

  #keepProgress(id: string, ackedLine: number): void {
    statement(
      this.#database,
      `INSERT INTO progress (job, acked_line, boot) VALUES (?, ?, ?)
         ON CONFLICT (job) DO UPDATE SET acked_line = max(acked_line, excluded.acked_line), boot = excluded.boot`,
    ).run(id, ackedLine, this.#bootId)
  }
}
