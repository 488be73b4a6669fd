/** The options every command that signs grants shares, and one grant made from them. */

import { randomBytes } from 'node:crypto'
import type { ParseArgsOptionsConfig } from 'node:util'
import {
  type ContentKeys,
  type GrantScope,
  type GrantTarget,
  type Recipient,
  type SigningKey,
  signGrant,
} from '#mpf'
import type { CommandContext } from './command.ts'
import { ToolError, UsageError } from './errors.ts'

const DAY_S = 86_400

export const GRANT_OPTIONS = {
  to: { type: 'string', multiple: true },
  scope: { type: 'string' },
  uses: { type: 'string' },
  days: { type: 'string' },
  'grant-epoch': { type: 'string' },
  issuer: { type: 'string' },
} as const satisfies ParseArgsOptionsConfig

/** 2026-01-01, in seconds: no copy of this program is older. */
const EARLIEST_S = 1_767_225_600

/** Seconds since 1970, for what is signed. @throws ToolError TOOL_CLOCK */
export function wallClockS(): number {
  const nowS = Math.floor(Date.now() / 1000)
  if (nowS < EARLIEST_S)
    throw new ToolError('TOOL_CLOCK', `the clock says ${new Date(nowS * 1000).toISOString()}`)
  return nowS
}

export const GRANT_HELP = `  --to FILE        public key of a printer (repeatable)
  --scope SCOPE    print (default) or view: metadata and pictures only
  --uses N         prints allowed per printer, 0 = unlimited (default 0)
  --days N         days the grants are valid (default 30)
  --grant-epoch N  grant epoch of the printers (default 0)
  --issuer NAME    who grants (default: mpf)`

/** @throws MpfError MPF_GRANT; UsageError */
export function makeGrant(
  context: CommandContext,
  target: GrantTarget,
  keys: ContentKeys,
  recipient: Recipient,
  signingKey: SigningKey,
): Promise<Uint8Array> {
  const nowS = wallClockS()
  return signGrant({
    target,
    recipient,
    keys,
    issuer: context.text('issuer') ?? 'mpf',
    signingKey,
    grantId: randomBytes(16),
    scope: scopeOf(context),
    notBeforeS: nowS,
    expiresS: nowS + context.integer('days', [1, 36_500], 30) * DAY_S,
    maxUses: context.integer('uses', [0, 2 ** 32], 0),
    epoch: context.integer('grant-epoch', [0, 2 ** 48], 0),
  })
}

function scopeOf(context: CommandContext): GrantScope {
  const scope = context.text('scope') ?? 'print'
  if (scope !== 'print' && scope !== 'view') throw new UsageError('--scope: expected print or view')
  return scope
}
