/** What the last life of the core left behind, made true again before anything new begins. */

import { CHECKPOINT_MS } from './engine/checkpoints.ts'
import type { Machine } from './engine/machine.ts'
import { CoreError } from './errors.ts'
import type { Journal } from './journal/journal.ts'
import type { Spool, SpooledFile } from './spool.ts'

export interface RecoveryParts {
  readonly journal: Journal
  readonly spool: Spool
  readonly machine: Machine
  /** What becomes of a print that was cut off. */
  readonly onInterruption: 'fail' | 'ask'
}

const WAITING = ['received', 'ready', 'interrupted'] as const

/**
 * Prints that were cut off fail, or wait to be resumed, with what is known of them; jobs without a file fail; files without a job become one.
 * Resolves with the jobs still to be admitted, in order of arrival.
 */
export async function recover(
  parts: RecoveryParts,
  signal: AbortSignal,
): Promise<readonly string[]> {
  settleInterrupted(parts)
  await reconcileSpool(parts, signal)
  return parts.journal.jobs(['received']).map(({ id }) => id)
}

/** The use stays charged: lines may have been executed, and nobody can prove they were not. */
function settleInterrupted({ journal, machine, onInterruption }: RecoveryParts): void {
  for (const job of journal.jobs(['printing', 'paused'])) {
    machine.requireHeatersOff()
    const code = 'JOB_INTERRUPTED'
    const message = `the core ended during the print; at least line ${job.ackedLine} acknowledged, at most ${CHECKPOINT_MS / 1000} s of lines more`
    // Where nothing was acknowledged there is nothing to go on from.
    const isKept = onInterruption === 'ask' && job.ackedLine > 0
    const detail = { ackedLine: job.ackedLine }
    const type = isKept ? 'job.interrupted' : 'job.failed'
    journal.advance(
      job.id,
      isKept ? 'interrupted' : 'failed',
      { type, job: job.id, code, message, detail },
      { reason: { code, message } },
    )
  }
}

async function reconcileSpool(
  { journal, spool }: RecoveryParts,
  signal: AbortSignal,
): Promise<void> {
  const { ids, strays } = await spool.contents()
  const present = new Set(ids)
  for (const name of strays) {
    await spool.removeStray(name)
    journal.record({ type: 'spool.removed', message: 'not a spooled file', detail: {} })
  }
  const waiting = journal.jobs(WAITING)
  for (const job of waiting) {
    if (present.has(job.id)) continue
    const code = 'JOB_FILE_LOST'
    const message = 'the spool does not hold the file'
    journal.advance(
      job.id,
      'failed',
      { type: 'job.failed', job: job.id, code, message },
      { reason: { code, message } },
    )
  }
  for (const id of ids) {
    const isWaiting = waiting.some(job => job.id === id)
    if (!isWaiting) await adoptOrRemove(id, { journal, spool }, signal)
  }
}

/** The core ended between the end of a copy and its record, or between the end of a job and the removal of its file. */
async function adoptOrRemove(
  id: string,
  { journal, spool }: Pick<RecoveryParts, 'journal' | 'spool'>,
  signal: AbortSignal,
): Promise<void> {
  const isKnown = journal.hasJob(id)
  const file = isKnown ? undefined : await measure(spool, id, signal)
  const twin = file && journal.jobs(WAITING).find(({ sha256 }) => sha256 === file.sha256)
  if (file === undefined || twin) {
    await spool.remove(id)
    const reason = file ? 'the file of a job that has one' : 'a file that cannot be read'
    const message = isKnown ? 'the file of an ended job' : reason
    journal.record({ type: 'spool.removed', job: isKnown ? id : twin?.id, message })
    return
  }
  journal.receive(
    { id, name: `${id.slice(0, 8)}.mpf`, origin: 'usb', ...file },
    {
      type: 'spool.adopted',
      job: id,
      message: `${file.sizeBytes} bytes without a job`,
      detail: { sizeBytes: file.sizeBytes, sha256: file.sha256 },
    },
  )
}

/** Undefined for a file that the disk gives back no more: it must not keep the core from starting. */
async function measure(
  spool: Spool,
  id: string,
  signal: AbortSignal,
): Promise<SpooledFile | undefined> {
  try {
    return await spool.measureFile(id, signal)
  } catch (error) {
    if (error instanceof CoreError && error.code === 'JOB_FILE_LOST') return undefined
    throw error
  }
}
