/** A job in words: its state, its place, the table of all, the page of one. Pure. */

import type { JobState, JobView } from '#lib/control-protocol.ts'
import {
  bytes,
  cellsOf,
  duration,
  fit,
  grouped,
  lineOf,
  localTime,
  pad,
  printable,
  type Style,
  type Tone,
} from './text.ts'

export const STATE_TONES = {
  received: 'dim',
  ready: 'good',
  refused: 'bad',
  printing: 'good',
  paused: 'warn',
  interrupted: 'warn',
  done: 'good',
  cancelled: 'warn',
  failed: 'bad',
} as const satisfies Record<JobState, Tone>

/** True once a job's state will not change any more. */
export function hasEnded(state: JobState): boolean {
  return state === 'refused' || state === 'done' || state === 'cancelled' || state === 'failed'
}

/** Its state, or what it is doing where that says more. */
export function stateText({ state, progress }: JobView): string {
  const { phase } = progress
  return !hasEnded(state) && phase !== undefined && phase !== 'printing' ? phase : state
}

const SHORT_ID_CHARACTERS = 8

/** As much of an id as a person types; the core takes any unambiguous beginning. */
export function shortId(id: string): string {
  return id.slice(0, SHORT_ID_CHARACTERS)
}

/** Its title where it was opened, else the name of its file. */
export function titleOf(job: JobView): string {
  return printable(job.title ?? job.name)
}

export function percentText(percent: number): string {
  // Never 100.0 % before the end.
  return `${(Math.floor(percent * 10) / 10).toFixed(1)} %`
}

/** `use 1 of 3`, or nothing while unknown. */
export function useText(job: JobView): string {
  if (job.use === null) return ''
  return job.usesGranted ? `use ${job.use} of ${job.usesGranted}` : `use ${job.use}`
}

/** `layer 3/40`, or nothing when the file names no layers. */
export function layerText({ layer, layers }: JobView['progress']): string {
  return layers > 0 ? `layer ${grouped(layer)}/${grouped(layers)}` : ''
}

export function lineText({ line, lines }: JobView['progress']): string {
  return `line ${grouped(line)}/${grouped(lines)}`
}

interface Column {
  readonly heading: string
  readonly textOf: (job: JobView) => string
  readonly isRight?: boolean
  /** Dropped first, highest first, on a narrow terminal; 0 stays. */
  readonly dropOrder: number
}

const COLUMNS: readonly Column[] = [
  { heading: 'JOB', textOf: job => shortId(job.id), dropOrder: 0 },
  { heading: 'STATE', textOf: job => job.state, dropOrder: 0 },
  {
    heading: 'DONE',
    textOf: job => percentText(job.progress.percent),
    isRight: true,
    dropOrder: 1,
  },
  { heading: 'LINES', textOf: job => grouped(job.progress.lines), isRight: true, dropOrder: 4 },
  { heading: 'SIZE', textOf: job => bytes(job.sizeBytes), isRight: true, dropOrder: 3 },
  { heading: 'RECEIVED', textOf: job => localTime(job.receivedAtMs), dropOrder: 2 },
  { heading: 'FROM', textOf: job => job.origin, dropOrder: 5 },
]

const GAP = '  '
/** Room the last column, the title, keeps before another column is dropped. */
const TITLE_CELLS = 16

/** The queue as a table: a heading and one line a job. */
export function renderJobs(jobs: readonly JobView[], style: Style): readonly string[] {
  if (jobs.length === 0) return ['no jobs']
  const columns = chooseColumns(jobs, style)
  const line = (cells: readonly string[], title: string, job?: JobView): string =>
    lineOf(
      [
        ...columns.map((column, index) => ({
          text: aligned(cells[index] ?? '', column, widthOf(column, jobs)) + GAP,
          tone: job && column.heading === 'STATE' ? STATE_TONES[job.state] : undefined,
        })),
        { text: title },
      ],
      style,
    )
  return [
    line(
      columns.map(column => column.heading),
      'TITLE',
    ),
    ...jobs.map(job =>
      line(
        columns.map(column => column.textOf(job)),
        job.code === null ? titleOf(job) : `${titleOf(job)} (${job.code})`,
        job,
      ),
    ),
  ]
}

function chooseColumns(jobs: readonly JobView[], style: Style): readonly Column[] {
  const columns = [...COLUMNS]
  const cells = (): number =>
    columns.reduce((sum, column) => sum + widthOf(column, jobs) + GAP.length, TITLE_CELLS)
  for (let drop = 5; drop > 0 && cells() > style.columns; drop--) {
    const index = columns.findIndex(column => column.dropOrder === drop)
    columns.splice(index, 1)
  }
  return columns
}

function widthOf(column: Column, jobs: readonly JobView[]): number {
  return Math.max(column.heading.length, ...jobs.map(job => cellsOf(column.textOf(job))))
}

function aligned(text: string, column: Column, cells: number): string {
  return column.isRight ? text.padStart(cells) : pad(text, cells)
}

/** One job, a fact a line. */
export function renderJob(job: JobView, style: Style): readonly string[] {
  const facts: readonly (readonly [string, string])[] = [
    ['job', job.id],
    ['title', titleOf(job)],
    ['file', `${printable(job.name)}, ${bytes(job.sizeBytes)}, from ${job.origin}`],
    ['state', job.state],
    ['reason', job.code === null ? '' : `${job.code}: ${job.message ?? ''}`],
    ['progress', progressText(job)],
    ['use', useText(job)],
    ['file id', job.fileId ?? ''],
    ['received', localTime(job.receivedAtMs)],
    ['started', job.startedAtMs === null ? '' : localTime(job.startedAtMs)],
    ['ended', job.endedAtMs === null ? '' : `${localTime(job.endedAtMs)}${tookText(job)}`],
  ]
  return facts
    .filter(([, text]) => text !== '')
    .map(([label, text]) =>
      lineOf(
        [
          { text: pad(label, 10), tone: 'dim' },
          { text, tone: label === 'state' ? STATE_TONES[job.state] : undefined },
        ],
        style,
      ),
    )
}

function progressText(job: JobView): string {
  if (job.progress.lines === 0) return ''
  return [percentText(job.progress.percent), lineText(job.progress), layerText(job.progress)]
    .filter(text => text !== '')
    .join(', ')
}

function tookText(job: JobView): string {
  if (job.startedAtMs === null || job.endedAtMs === null) return ''
  return `, after ${duration((job.endedAtMs - job.startedAtMs) / 1000)}`
}

/** How a watched job ended, in one line. */
export function renderEnd(job: JobView, style: Style): string {
  const place =
    job.state === 'done' ? `${grouped(job.progress.lines)} lines` : lineText(job.progress)
  const reason = job.code === null ? '' : `: ${job.code}: ${printable(job.message ?? '')}`
  return lineOf(
    [
      { text: job.state, tone: STATE_TONES[job.state] },
      { text: `  ${fit(titleOf(job), 60, style)}, ${place}${tookText(job)}${reason}` },
    ],
    { ...style, columns: Number.POSITIVE_INFINITY },
  )
}
