/** Reports and previews of jobs: asked of the preflight thread, kept while the core runs, never written down. */

import { createCompactor, packFrame } from '#drivers'
import type { LayerView, PrintReportView } from '#lib/control-protocol.ts'
import {
  type ForecastLink,
  type ForecastRemedy,
  forecast,
  type Kinematics,
  type PrintEstimate,
} from '#mpf'
import { CoreError } from '../errors.ts'
import type { OpenedJob, OpenJob } from './open-job.ts'
import type { Refusal } from './opened-print.ts'
import type { Preflight } from './preflight.ts'
import type { Findings, Study } from './preflight-study.ts'

/** A picture is never larger, so that its answer stays small on the control socket. */
export const MAX_PREVIEW_BYTES = 200_000
/** Reports kept; the largest has 20,001 layers, some two megabytes. */
const KEPT_REPORTS = 16
/** BUFSIZE of Marlin where nothing else is known, and what its parser needs a line (measured on AVR boards: 1 to 2 ms). */
const WINDOW_LINES = 4
const TURNAROUND_MS = 2
/** `N`, space, `*`, three digits of checksum at most, line feed; the number's digits come on top. */
const FRAME_BYTES = 7

export interface PrintReportsOptions {
  readonly openJob: OpenJob
  readonly preflight: Preflight
  readonly kinematics: Kinematics
  readonly baud: number
  /** Lines the configured dialect has under way at once; default: Marlin's. */
  readonly windowLines?: number | undefined
}

/** What is asked to be drawn. */
export interface PreviewRequest {
  readonly view: 'isometric' | 'top'
  readonly layer?: number | undefined
}

interface Estimated {
  readonly estimate: PrintEstimate
  readonly remedies: readonly ForecastRemedy[]
}

export class PrintReports {
  readonly #options: PrintReportsOptions
  /** By digest of the manifest: the very bytes a report speaks of. */
  readonly #kept = new Map<string, Estimated>()
  /** One thread at a time: clients may ask faster than a file is read. */
  #turn: Promise<unknown> = Promise.resolve()

  constructor(options: PrintReportsOptions) {
    this.#options = options
  }

  /** The preflight of an admission, which estimates on the way. */
  readonly preflight: Preflight = async (job, signal) => {
    const { kinematics } = this.#options
    let found: Findings | undefined
    const take = (findings: Findings) => {
      found = findings
    }
    const study: Study = { kind: 'estimate', kinematics }
    const refusal = await this.#options.preflight(job, signal, { study, take })
    if (!refusal && found) this.#keep(job.print.facts.manifestDigest, found)
    return refusal
  }

  /**
   * The report of a job; reads the file again only where none is kept (after a restart).
   * @throws CoreError and MpfError by code when the file does not pass any more; `signal.reason`.
   */
  async report(
    job: { readonly id: string; readonly manifestDigest: string | null },
    signal: AbortSignal,
  ): Promise<PrintReportView> {
    const kept = job.manifestDigest === null ? undefined : this.#kept.get(job.manifestDigest)
    return viewOf(job.id, kept ?? (await this.#estimate(job.id, signal)), this.#options)
  }

  /** A picture of the toolpath, at most {@link MAX_PREVIEW_BYTES}. @throws as report. */
  async preview(id: string, wanted: PreviewRequest, signal: AbortSignal): Promise<string> {
    const findings = await this.#study(id, signal, ({ print }) => ({
      kind: 'preview',
      options: { ...wanted, layers: print.facts.layers, maxBytes: MAX_PREVIEW_BYTES },
    }))
    if (findings.kind !== 'preview') throw noFindings()
    return findings.svg
  }

  async #estimate(id: string, signal: AbortSignal): Promise<Estimated> {
    const { kinematics } = this.#options
    let digest = ''
    const findings = await this.#study(id, signal, ({ print }) => {
      digest = print.facts.manifestDigest
      return { kind: 'estimate', kinematics }
    })
    return this.#keep(digest, findings)
  }

  #study(id: string, signal: AbortSignal, studyOf: (job: OpenedJob) => Study): Promise<Findings> {
    const { openJob, preflight } = this.#options
    const run = async (): Promise<Findings> => {
      await using job = await openJob(id)
      let found: Findings | undefined
      const study = studyOf(job)
      const take = (findings: Findings) => {
        found = findings
      }
      const refusal = await preflight(job, signal, { study, take })
      if (refusal) throw refusalError(refusal)
      if (!found) throw noFindings()
      return found
    }
    const turn = this.#turn.then(run)
    this.#turn = turn.catch(() => undefined)
    return turn
  }

  #keep(digest: string, findings: Findings): Estimated {
    if (findings.kind !== 'estimate') throw noFindings()
    const { estimate, samples } = findings
    const estimated = { estimate, remedies: remediesOf(samples) }
    this.#kept.delete(digest)
    this.#kept.set(digest, estimated)
    const [oldest] = this.#kept.keys()
    if (this.#kept.size > KEPT_REPORTS && oldest !== undefined) this.#kept.delete(oldest)
    return estimated
  }
}

/** The file passed once and does not now: its bytes or its grant are not what they were. */
function refusalError({ code, message }: Refusal): CoreError {
  return new CoreError('REPORT_UNAVAILABLE', `${code}: ${message}`)
}

function noFindings(): CoreError {
  return new CoreError('REPORT_UNAVAILABLE', 'the preflight found nothing to report')
}

/** What part of the bytes each way of writing needs, measured on commands of this very program. */
function remediesOf(samples: readonly (readonly string[])[]): readonly ForecastRemedy[] {
  let [plain, compact, packed] = [0, 0, 0]
  for (const commands of samples) {
    const compactor = createCompactor()
    for (const [i, text] of commands.entries()) {
      const shorter = compactor.compact(text)
      plain += text.length + FRAME_BYTES
      compact += shorter.length + FRAME_BYTES
      packed += packFrame(`N${i}${shorter}*100\n`, true).length
    }
  }
  if (plain === 0) return []
  return [
    { name: 'compaction', ratio: compact / plain },
    { name: 'compaction with MeatPack', ratio: packed / plain },
  ]
}

type Wire = Pick<PrintReportsOptions, 'baud' | 'windowLines'>

function linkOf({ baud, windowLines = WINDOW_LINES }: Wire, commands: number): ForecastLink {
  const framingBytes = FRAME_BYTES + String(commands).length
  return { baud, framingBytes, windowLines, turnaroundMs: TURNAROUND_MS }
}

/** Also `mpf report`'s shape of an answer. */
function viewOf(job: string, { estimate, remedies }: Estimated, wire: Wire): PrintReportView {
  const { layers, box, ...whole } = estimate
  const {
    verdict,
    sentences,
    layers: forecasts,
  } = forecast(layers, linkOf(wire, whole.commands), remedies)
  const rows: LayerView[] = forecasts.map(row => ({
    layer: row.layer,
    lines: layers[row.layer]?.lines ?? 0,
    timeS: rounded(layers[row.layer]?.timeS ?? 0),
    neededLinesPerS: rounded(row.neededLinesPerS),
    peakLinesPerS: rounded(row.peakLinesPerS),
    linkLinesPerS: rounded(row.linkLinesPerS),
    verdict: row.verdict,
  }))
  return {
    job,
    ...whole,
    timeS: rounded(whole.timeS),
    boxUm: box ? { min: [...box.minUm], max: [...box.maxUm] } : null,
    baud: wire.baud,
    verdict,
    sentences: [...sentences],
    layers: rows,
  }
}

function rounded(value: number): number {
  return Math.round(value * 10) / 10
}
