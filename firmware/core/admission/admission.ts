/** From `received` to `ready` or `refused`: one job at a time, every failure a verdict. */

import type { Clock } from '#lib/clock.ts'
import { MpfError } from '#mpf'
import { CoreError } from '../errors.ts'
import type { JobRecord } from '../journal/job-record.ts'
import type { Journal } from '../journal/journal.ts'
import type { OpenJob } from './open-job.ts'
import type { PrintFacts, Refusal } from './opened-print.ts'
import type { Preflight } from './preflight.ts'

export interface AdmissionOptions {
  readonly journal: Journal
  readonly openJob: OpenJob
  readonly preflight: Preflight
  readonly clock: Clock
}

/** A read that fails says nothing about the file: it is tried again after these, and only then believed. */
const RETRY_AFTER_MS = [1000, 5000, 15_000] as const

type Verdict =
  | { readonly kind: 'admitted'; readonly facts: PrintFacts }
  | ({ readonly kind: 'refused' } & Refusal)

/**
 * Decides about one received job and records the decision.
 * Rejects only when the decision cannot be recorded, or with `signal.reason`; the job is then still `received`.
 */
export async function admitJob(
  id: string,
  options: AdmissionOptions,
  signal: AbortSignal,
): Promise<JobRecord> {
  const { journal } = options
  const verdict = await judgeAgain(id, options, signal)
  if (verdict.kind === 'admitted') {
    const { fileId, manifestDigest, title, lines, layers, grant, revision } = verdict.facts
    const { id: grantId, usesGranted, epoch } = grant
    return journal.admit(
      id,
      { fileId, manifestDigest, title, lines, layers, grantId, usesGranted },
      [
        { kind: 'manifest-sequence', key: fileId, value: revision },
        { kind: 'grant-epoch', key: '', value: epoch },
      ],
    )
  }
  const { code, message, line } = verdict
  const isLost = code === 'JOB_FILE_LOST'
  return journal.advance(
    id,
    isLost ? 'failed' : 'refused',
    {
      type: isLost ? 'job.failed' : 'admission.refused',
      job: id,
      code,
      message,
      detail: line === undefined ? {} : { line },
    },
    { reason: { code, message } },
  )
}

async function judgeAgain(
  id: string,
  options: AdmissionOptions,
  signal: AbortSignal,
): Promise<Verdict> {
  for (const waitMs of RETRY_AFTER_MS) {
    const verdict = await judge(id, options, signal)
    if (verdict.kind !== 'refused' || verdict.code !== 'MPF_IO') return verdict
    await options.clock.sleep(waitMs, signal)
  }
  return judge(id, options, signal)
}

async function judge(
  id: string,
  { openJob, preflight }: AdmissionOptions,
  signal: AbortSignal,
): Promise<Verdict> {
  try {
    await using opened = await openJob(id)
    const refusal = await preflight(opened, signal)
    if (refusal) return { kind: 'refused', ...refusal }
    return { kind: 'admitted', facts: opened.print.facts }
  } catch (error) {
    signal.throwIfAborted()
    if (error instanceof MpfError || error instanceof CoreError)
      return {
        kind: 'refused',
        code: error.code,
        message: error.message,
        line: error instanceof MpfError ? error.line : undefined,
      }
    // A fault of ours while judging a stranger's file: refused all the same.
    return { kind: 'refused', code: 'ADMISSION_FAULT', message: 'the check itself failed' }
  }
}
