/** The whole-file preflight, in a thread of its own: hundreds of megabytes of checking must not stall a running print. */

import { Worker } from 'node:worker_threads'
import { z } from 'zod'
import type { Container, IndexEntry, Manifest } from '#mpf'
import { CoreError } from '../errors.ts'
import type { OpenedJob } from './open-job.ts'
import type { Refusal } from './opened-print.ts'
import type { Findings, Study } from './preflight-study.ts'

/** A question to answer on the way; `take` is called before the verdict is returned, and only if the job passed. */
export interface StudyOrder {
  readonly study: Study
  readonly take: (findings: Findings) => void
}

/** Steps 14 to 19 over every block of an opened job. Undefined: it passed. @throws CoreError ADMISSION_FAULT; `signal.reason`. */
export type Preflight = (
  job: OpenedJob,
  signal: AbortSignal,
  order?: StudyOrder,
) => Promise<Refusal | undefined>

/** What crosses to the thread: a descriptor, what was signed, and a copy of the one key it needs, which it zeroes. */
export interface PreflightRequest {
  readonly fd: number
  readonly sizeBytes: number
  readonly layout: Omit<Container, 'source'>
  readonly manifest: Manifest
  readonly index: readonly IndexEntry[]
  readonly bodyKey: Uint8Array<ArrayBuffer>
  readonly study: Study | undefined
}

/** One block of text and its working copies are a few megabytes; a file that needs more is not one of ours. */
const THREAD_HEAP_MB = 64

const verdictSchema = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('passed'),
    findings: z.custom<Findings>(value => typeof value === 'object' && value !== null).optional(),
  }),
  z.strictObject({
    kind: z.literal('refused'),
    code: z.string(),
    message: z.string(),
    line: z.int().optional(),
  }),
])
/** What the thread answers, once. */
export type PreflightVerdict = z.infer<typeof verdictSchema>

/** Runs the preflight of one job in a fresh thread; the job's descriptor stays open until it has ended. */
export const preflightInThread: Preflight = async (job, signal, order) => {
  const { container, manifest, keys, index } = job.print.program
  const { sectionCount, sections } = container
  if (!keys.body) throw new CoreError('ADMISSION_FAULT', 'no key for the body')
  const request: PreflightRequest = {
    fd: job.source.fd,
    sizeBytes: job.source.sizeBytes,
    layout: { sectionCount, sections },
    manifest,
    index,
    bodyKey: Uint8Array.from(keys.body),
    study: order?.study,
  }
  signal.throwIfAborted()
  const worker = new Worker(new URL(import.meta.resolve('#program/preflight')), {
    workerData: request,
    // Moved, not copied: what stays here is empty.
    transferList: [request.bodyKey.buffer],
    resourceLimits: { maxOldGenerationSizeMb: THREAD_HEAP_MB },
  })
  try {
    const answer = await answerOf(worker, signal)
    const verdict = verdictSchema.parse(answer)
    if (verdict.kind === 'refused') return verdict
    if (verdict.findings) order?.take(verdict.findings)
    return undefined
  } finally {
    await worker.terminate()
  }
}

function answerOf(worker: Worker, signal: AbortSignal): Promise<unknown> {
  const { promise, resolve, reject } = Promise.withResolvers<unknown>()
  const fail = (cause: unknown) =>
    reject(new CoreError('ADMISSION_FAULT', 'the preflight thread failed', { cause }))
  const onAbort = () => reject(signal.reason)
  signal.addEventListener('abort', onAbort, { once: true })
  worker.once('message', resolve)
  worker.once('error', fail)
  worker.once('exit', code => fail(new Error(`exit ${code} without an answer`)))
  return promise.finally(() => signal.removeEventListener('abort', onAbort))
}
