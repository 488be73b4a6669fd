/** A job's file, opened once more before it is printed: with the time, revocations and uses of now, and as it was admitted. */

import { MpfError } from '#mpf'
import type { OpenJob } from '../admission/open-job.ts'
import { CoreError } from '../errors.ts'
import type { PrintEngineOptions } from './engine-options.ts'

type OpenAgainOptions = Pick<PrintEngineOptions, 'journal' | 'openJob' | 'onEnded'>

/** A file that no longer passes leaves the queue for good. @throws MpfError by code; CoreError JOB_FILE_LOST. */
export async function openAgain(id: string, options: OpenAgainOptions): ReturnType<OpenJob> {
  const { journal, openJob } = options
  try {
    await using stack = new AsyncDisposableStack()
    const opened = stack.use(await openJob(id))
    if (opened.print.facts.manifestDigest !== journal.job(id).manifestDigest)
      throw new MpfError('MPF_CHANGED_MEDIA', 'another file than the one that was admitted')
    journal.entitle(id, opened.print.facts.title)
    stack.move()
    return opened
  } catch (error) {
    // A read that fails says nothing about the file: it may be started again.
    const isVerdict = error instanceof MpfError && error.code !== 'MPF_IO'
    if (isVerdict || isFileLost(error)) giveUp(id, error, options)
    throw error
  }
}

function giveUp(
  id: string,
  error: MpfError | CoreError,
  { journal, onEnded }: OpenAgainOptions,
): void {
  const reason = { code: error.code, message: error.message }
  const isRefusal = error instanceof MpfError && journal.job(id).state === 'ready'
  const type = isRefusal ? 'admission.refused' : 'job.failed'
  const event = isRefusal ? 'refused' : 'failed'
  journal.advance(id, event, { type, job: id, ...reason }, { reason })
  onEnded(id)
}

function isFileLost(error: unknown): error is CoreError {
  return error instanceof CoreError && error.code === 'JOB_FILE_LOST'
}
