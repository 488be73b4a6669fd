/** What the core may answer, parsed before it is believed. Fields this mpfctl does not know are dropped: the core may be newer. */

import { z } from 'zod'
import type {
  ControlMethod,
  ControlMethods,
  EventView,
  JobView,
  PrinterView,
  PrintReportView,
} from '#lib/control-protocol.ts'
import { PRINT_PHASES } from '#lib/control-protocol.ts'

const text = z.string().max(4096)
const optionalText = text.nullable()
const optionalNumber = z.number().nullable()

const job = z.object({
  id: text,
  name: text,
  state: z.enum([
    ...['received', 'ready', 'refused', 'printing', 'paused', 'interrupted'],
    ...['done', 'cancelled', 'failed'],
  ] as const satisfies readonly JobView['state'][]),
  origin: z.enum(['usb', 'local', 'cloud']),
  sizeBytes: z.number(),
  fileId: optionalText,
  title: optionalText,
  receivedAtMs: z.number(),
  startedAtMs: optionalNumber,
  endedAtMs: optionalNumber,
  code: optionalText,
  message: optionalText,
  progress: z.object({
    line: z.number(),
    lines: z.number(),
    layer: z.number(),
    layers: z.number(),
    percent: z.number(),
    timeLeftS: optionalNumber,
    phase: z.enum(PRINT_PHASES).exactOptional(),
    feedMmPerMin: optionalNumber.exactOptional(),
    fanPercent: optionalNumber.exactOptional(),
  }),
  use: optionalNumber,
  usesGranted: optionalNumber,
}) satisfies z.ZodType<JobView>

const link = z.object({
  okToNextMs: z.object({ p50: optionalNumber, p99: optionalNumber, p999: optionalNumber }),
  wireUtilisation: optionalNumber,
  plannerFree: optionalNumber,
  plannerBlocks: optionalNumber,
  stalls: z.number(),
  reattachments: z.number(),
  bytesSent: z.number(),
  bytesReceived: z.number(),
  savedBytes: z.number(),
})

const controller = z.object({
  name: text,
  role: z.enum(['motion', 'fibre', 'chamber']),
  connected: z.boolean(),
  fault: z.object({ code: text, message: text }).nullable().exactOptional(),
  firmware: optionalText,
  temperatures: z.record(text, z.object({ currentC: z.number(), targetC: z.number() })),
  linesSent: z.number(),
  resends: z.number(),
  inFlightLines: z.number(),
  windowLines: z.number(),
  link: link.nullable(),
})

export const printerView = z.object({
  printer: text,
  serial: text,
  version: text,
  state: z.enum(['idle', 'printing', 'paused', 'interrupted', 'offline', 'wiped']),
  job: job.nullable(),
  controllers: z.array(controller),
  queue: z.object({ ready: z.number(), received: z.number() }),
  spool: z.object({ usedBytes: z.number(), capBytes: z.number() }),
  events: z.object({ lastSequence: z.number() }),
  clock: z.object({ nowMs: z.number(), quality: text }),
  attention: z
    .object({
      reason: text,
      prompt: z.object({ text, choices: z.array(text).max(16), isShown: z.boolean() }).nullable(),
    })
    .nullable()
    .exactOptional(),
  alarms: z.array(text).exactOptional(),
}) satisfies z.ZodType<PrinterView>

export const eventView = z.object({
  sequence: z.number(),
  atMs: z.number(),
  type: text,
  severity: z.enum(['info', 'notice', 'warning', 'error', 'critical']),
  job: optionalText,
  code: optionalText,
  message: text,
  detail: z.record(text, z.unknown()),
  hash: text,
}) satisfies z.ZodType<EventView>

/** A picture of 200 kB in base64, and room to spare. */
const MAX_PICTURE_CHARACTERS = 300_000
const verdict = z.enum(['flows', 'tight', 'stutters'])
const numbers = z.array(z.number()).max(8)

const report = z.object({
  job: text,
  timeS: z.number(),
  dwellS: z.number(),
  lines: z.number(),
  commands: z.number(),
  extrusionMoves: z.number(),
  travelMoves: z.number(),
  filamentMoves: z.number(),
  filamentUm: numbers,
  boxUm: z.object({ min: numbers, max: numbers }).nullable(),
  baud: z.number(),
  verdict,
  sentences: z.array(text),
  layers: z.array(
    z.object({
      layer: z.number(),
      lines: z.number(),
      timeS: z.number(),
      neededLinesPerS: z.number(),
      peakLinesPerS: z.number(),
      linkLinesPerS: z.number(),
      verdict,
    }),
  ),
}) satisfies z.ZodType<PrintReportView>

/** One schema a method. */
export const replySchemas: {
  readonly [M in ControlMethod]: z.ZodType<ControlMethods[M]['result']>
} = {
  status: printerView,
  'jobs.list': z.object({ jobs: z.array(job) }),
  'jobs.show': job,
  'jobs.report': report,
  'jobs.preview': z.object({
    type: text,
    bytes: z.base64().max(MAX_PICTURE_CHARACTERS),
  }),
  'print.start': job,
  'print.pause': job,
  'print.resume': job,
  'print.cancel': job,
  'print.stop': job.nullable(),
  'print.respond': z.object({ choice: z.number() }),
  'events.list': z.object({ events: z.array(eventView) }),
  'events.verify': z.object({
    entries: z.number(),
    intact: z.boolean(),
    brokenAt: optionalNumber,
  }),
  watch: printerView,
}
