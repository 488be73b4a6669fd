/** What comes from the broker: each message verified for who signed it before anything follows from it. */

import type { z } from 'zod'
import { verifyStatement } from '#lib/dsse.ts'
import type { TrustBundle } from '#mpf'
import { CloudError } from './errors.ts'
import type { Outbox } from './outbox.ts'
import {
  type AckStatement,
  ackSchema,
  decodeBlock,
  type NoticeStatement,
  noticeSchema,
  type OfferStatement,
  offerSchema,
  parseTopic,
  STATEMENT,
} from './wire.ts'

export interface DownlinkHandlers {
  readonly onAck: (ack: AckStatement) => void
  readonly onNotice: (notice: NoticeStatement) => Promise<void>
  /** The envelope as it came: the core verifies it. */
  readonly onCommand: (envelope: Uint8Array) => Promise<void>
  readonly onOffer: (offer: OfferStatement, envelope: Uint8Array) => Promise<void>
  readonly onBlock: (offer: string, offset: number, bytes: Uint8Array) => Promise<void>
  /** A message that is not what it must be; rate-limited by who is told. */
  readonly onForged: (topic: string, error: CloudError) => void
}

export interface DownlinkOptions {
  readonly device: string
  readonly tenant: string
  readonly trust: TrustBundle
  readonly outbox: Outbox
  /** Trusted time as the core tells it. */
  readonly nowMs: () => number
  readonly handlers: DownlinkHandlers
}

/** Notices older or newer than this are not acted on: a replayed one is at most this late. */
const NOTICE_WINDOW_S = 300
const NOT_BEFORE_TOLERANCE_MS = 5 * 60_000

/** Takes one message. Never rejects: what is wrong is told to `onForged`. */
export async function takeMessage(
  options: DownlinkOptions,
  topic: string,
  payload: Uint8Array,
): Promise<void> {
  try {
    const parsed = parseTopic(topic)
    if (parsed?.device !== options.device)
      throw new CloudError('CLOUD_MALFORMED', 'not a topic of this printer')
    await take(options, parsed.name, payload)
  } catch (error) {
    if (!(error instanceof CloudError)) throw error
    options.handlers.onForged(topic, error)
  }
}

async function take(options: DownlinkOptions, name: string, payload: Uint8Array): Promise<void> {
  const { handlers } = options
  switch (name) {
    case 'ack':
      handlers.onAck(open(options, 'witness', STATEMENT.ack, ackSchema, payload))
      return
    case 'notice': {
      const notice = open(options, 'witness', STATEMENT.notice, noticeSchema, payload)
      if (Math.abs(notice.at * 1000 - options.nowMs()) > NOTICE_WINDOW_S * 1000)
        throw new CloudError('CLOUD_FORGED', 'a notice of another time')
      return handlers.onNotice(notice)
    }
    case 'job': {
      const offer = open(options, 'publish', STATEMENT.offer, offerSchema, payload)
      if (offer.ten !== options.tenant)
        throw new CloudError('CLOUD_FORGED', 'an offer for another tenant')
      return handlers.onOffer(offer, payload)
    }
    case 'blk': {
      const { header, bytes } = decodeBlock(payload)
      return handlers.onBlock(header.offer, header.off, bytes)
    }
    case 'cmd':
      return handlers.onCommand(payload)
    default:
      throw new CloudError('CLOUD_MALFORMED', 'not a topic that comes down')
  }
}

/** @throws CloudError CLOUD_FORGED, CLOUD_MALFORMED */
function open<T extends { readonly dev: string }>(
  options: DownlinkOptions,
  purpose: 'witness' | 'publish',
  type: string,
  schema: z.ZodType<T>,
  payload: Uint8Array,
): T {
  const atMs = options.nowMs()
  const verdict = verifyStatement(payload, type, kid => {
    const key = options.trust.keyFor(purpose, kid)
    const isCurrent =
      key && atMs + NOT_BEFORE_TOLERANCE_MS >= key.notBeforeMs && atMs <= key.notAfterMs
    return isCurrent ? key : undefined
  })
  if (verdict.kind === 'refused')
    throw new CloudError(
      verdict.reason === 'malformed' ? 'CLOUD_MALFORMED' : 'CLOUD_FORGED',
      verdict.message,
    )
  const parsed = schema.safeParse(verdict.statement)
  if (!parsed.success) throw new CloudError('CLOUD_MALFORMED', 'not a statement of this version')
  if (parsed.data.dev !== options.device)
    throw new CloudError('CLOUD_FORGED', 'a statement for another printer')
  return parsed.data
}
