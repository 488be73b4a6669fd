/** The preflight thread: pulls every block of an opened program through every check. */

import { parentPort, workerData } from 'node:worker_threads'
import { fdSource } from '#lib/file-source.ts'
import { MpfError } from '#mpf/program'
import { checkedBlocks } from './checked-blocks.ts'
import type { PreflightRequest, PreflightVerdict } from './preflight.ts'
import { startStudy } from './preflight-study.ts'

async function preflight(request: PreflightRequest): Promise<PreflightVerdict> {
  const { fd, sizeBytes, layout, manifest, index, bodyKey, study } = request
  const source = fdSource(
    fd,
    sizeBytes,
    (message, cause) => new MpfError('MPF_IO', message, { cause }),
  )
  using keys = {
    meta: new Uint8Array(),
    body: bodyKey,
    [Symbol.dispose]: () => void bodyKey.fill(0),
  }
  try {
    const program = { container: { ...layout, source }, manifest, keys, index }
    const running = study && startStudy(study)
    const { signal } = new AbortController()
    for await (const block of checkedBlocks(program, signal, running?.listeners)) {
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
