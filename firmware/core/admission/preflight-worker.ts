/** The preflight thread: opens the file anew from its descriptor and pulls every block through every check. */

import { parentPort, workerData } from 'node:worker_threads'
import { MpfError } from '#mpf'
import { openPrint } from './checklist.ts'
import { sealedSource } from './open-job.ts'
import type { PreflightRequest, PreflightVerdict } from './preflight.ts'
import { startStudy } from './preflight-study.ts'

async function preflight(request: PreflightRequest): Promise<PreflightVerdict> {
  const { fd, sizeBytes, seqFloor, uses, detached, study, ...facts } = request
  try {
    using print = await openPrint(sealedSource(fd, sizeBytes), {
      ...facts,
      seqFloor: () => seqFloor,
      usesOf: () => uses,
      detachedGrants: () => detached,
    })
    const running = study && startStudy(study)
    for await (const block of print.blocks(new AbortController().signal, running?.listeners)) {
      running?.sample(block)
      block.text.fill(0)
    }
    return { kind: 'passed', ...(running && { findings: running.finish() }) }
  } catch (error) {
    if (!(error instanceof MpfError)) throw error
    const { code, message, line } = error
    return { kind: 'refused', code, message, ...(line === undefined ? {} : { line }) }
  }
}

// A thread's module is its program: the one place where importing is running.
parentPort?.postMessage(await preflight(workerData as PreflightRequest))
