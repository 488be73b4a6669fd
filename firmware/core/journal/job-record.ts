/** A job as the journal keeps it, and its reading from a row. */

import { z } from 'zod'
import type { JobOrigin, JobState, JobView } from '#lib/control-protocol.ts'

export interface JobRecord {
  readonly id: string
  readonly name: string
  readonly state: JobState
  readonly origin: JobOrigin
  readonly sizeBytes: number
  /** Of the sealed file, hex. */
  readonly sha256: string
  readonly fileId: string | null
  /** Of the manifest that was admitted; what is printed must carry the same. */
  readonly manifestDigest: string | null
  readonly title: string | null
  readonly grantId: string | null
  readonly usesGranted: number | null
  readonly use: number | null
  readonly lines: number
  readonly layers: number
  readonly ackedLine: number
  /** The boot of this computer in which `ackedLine` was kept. */
  readonly ackedBoot: string | null
  readonly receivedAtMs: number
  readonly startedAtMs: number | null
  readonly endedAtMs: number | null
  readonly code: string | null
  readonly message: string | null
}

/** What is known of a job when its file is in the spool. */
export type ReceivedJob = Pick<JobRecord, 'id' | 'name' | 'origin' | 'sizeBytes' | 'sha256'>

/** What admission learned and the journal keeps. */
export interface AdmittedFacts {
  readonly fileId: string
  readonly manifestDigest: string
  readonly title: string | null
  readonly grantId: string
  /** 0 = unlimited. */
  readonly usesGranted: number
  readonly lines: number
  readonly layers: number
}

/** Why a job ended other than done. */
export interface EndReason {
  readonly code: string
  readonly message: string
  readonly line?: number | undefined
}

/** Reads jobs with their use and progress; append a WHERE. */
export const SELECT_JOBS = `SELECT jobs.*, uses.use AS use, coalesce(progress.acked_line, 0) AS acked_line,
  progress.boot AS boot
  FROM jobs LEFT JOIN uses ON uses.job = jobs.id LEFT JOIN progress ON progress.job = jobs.id`

const rowSchema = z.object({
  id: z.string(),
  name: z.string(),
  state: z.enum([
    'received',
    'ready',
    'refused',
    'printing',
    'paused',
    'interrupted',
    'done',
    'cancelled',
    'failed',
  ]),
  origin: z.enum(['usb', 'local', 'cloud']),
  size_bytes: z.int(),
  sha256: z.string(),
  file_id: z.string().nullable(),
  manifest_digest: z.string().nullable(),
  grant_id: z.string().nullable(),
  uses_granted: z.int().nullable(),
  use: z.int().nullable(),
  lines: z.int(),
  layers: z.int(),
  acked_line: z.int(),
  boot: z.string().nullable(),
  received_at_ms: z.int(),
  started_at_ms: z.int().nullable(),
  ended_at_ms: z.int().nullable(),
  code: z.string().nullable(),
  message: z.string().nullable(),
})

/** @throws ZodError when the row is not a job: the database was written by something else. */
export function jobOfRow(row: unknown, titles: ReadonlyMap<string, string>): JobRecord {
  const job = rowSchema.parse(row)
  return {
    id: job.id,
    name: job.name,
    state: job.state,
    origin: job.origin,
    sizeBytes: job.size_bytes,
    sha256: job.sha256,
    fileId: job.file_id,
    manifestDigest: job.manifest_digest,
    title: titles.get(job.id) ?? null,
    grantId: job.grant_id,
    usesGranted: job.uses_granted,
    use: job.use,
    lines: job.lines,
    layers: job.layers,
    ackedLine: job.acked_line,
    ackedBoot: job.boot,
    receivedAtMs: job.received_at_ms,
    startedAtMs: job.started_at_ms,
    endedAtMs: job.ended_at_ms,
    code: job.code,
    message: job.message,
  }
}

/** A job as clients see it; `progress` overrides what the journal last kept while the job prints. */
export function viewOfJob(job: JobRecord, progress?: JobView['progress']): JobView {
  const line = job.state === 'done' ? job.lines : job.ackedLine
  return {
    id: job.id,
    name: job.name,
    state: job.state,
    origin: job.origin,
    sizeBytes: job.sizeBytes,
    fileId: job.fileId,
    title: job.title,
    receivedAtMs: job.receivedAtMs,
    startedAtMs: job.startedAtMs,
    endedAtMs: job.endedAtMs,
    code: job.code,
    message: job.message,
    progress: progress ?? {
      line,
      lines: job.lines,
      layer: job.state === 'done' ? job.layers : 0,
      layers: job.layers,
      percent: job.lines === 0 ? 0 : (line / job.lines) * 100,
      timeLeftS: null,
    },
    use: job.use,
    usesGranted: job.usesGranted,
  }
}
