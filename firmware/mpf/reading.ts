/** A sealed file followed line by line with a printer's key, for those commands that look into the program. */

import type { ParseArgsOptionsConfig } from 'node:util'
import {
  createProgramCheck,
  openBody,
  openMeta,
  type ProgramListeners,
  readContainer,
  recipientIds,
  selectGrant,
  unwrapKeys,
  verifyManifest,
} from '#mpf'
import { type CommandContext, UsageError } from './command.ts'
import { openSealed } from './files.ts'
import { readBytes, readRecipientKeys, readTrust } from './key-files.ts'

export const READ_OPTIONS = {
  trust: { type: 'string' },
  key: { type: 'string' },
  'password-file': { type: 'string' },
  'hybrid-key': { type: 'string' },
  grant: { type: 'string' },
} as const satisfies ParseArgsOptionsConfig

export const READ_HELP = `  --trust FILE    trust bundle
  --key FILE      the printer's private key
  --hybrid-key FILE   its hybrid key
  --grant FILE    a grant delivered apart from the file`

/** What is known before the first line. */
export interface ProgramFacts {
  readonly title: string
  readonly layers: number
}

/**
 * Checks every step as `mpf verify --key` does, with listeners for the lines and moves; what they heard counts once this resolves.
 * @throws MpfError by code; UsageError, ToolError
 */
export async function followProgram(
  context: CommandContext,
  listenersFor: (facts: ProgramFacts) => ProgramListeners,
): Promise<ProgramFacts> {
  const [path] = context.operands
  if (path === undefined || context.operands.length !== 1) throw new UsageError('expected one file')
  const trust = await readTrust(context.required('trust'))
  const recipient = await readRecipientKeys(
    context.required('key'),
    context.text('hybrid-key'),
    context.text('password-file'),
  )
  await using source = await openSealed(path)
  const container = await readContainer(source)
  const atMs = Date.now()
  const { tenant } = trust
  const manifest = await verifyManifest(container, { trust, tenant, atMs, seqFloor: () => 0 })
  const { payload, digest } = manifest
  const detachedFile = context.text('grant')
  const target = { fileId: payload.fid, manifestDigest: digest, tenant: payload.ten }
  const grant = await selectGrant(container, target, {
    ...{ trust, recipientIds: recipientIds(recipient), atMs, scope: 'print', epochFloor: 0 },
    usesOf: () => 0,
    ...(detachedFile !== undefined && { detached: await readBytes(detachedFile) }),
  })
  using keys = await unwrapKeys(grant, recipient)
  const meta = await openMeta(container, manifest, keys)
  const facts = { title: meta.info.title, layers: meta.info.layers }
  const { lines } = payload.enc.body
  const check = createProgramCheck(payload.pol, meta.index, lines, listenersFor(facts))
  for await (const block of openBody(container, manifest, keys, meta.index)) {
    check.check(block)
    block.text.fill(0)
  }
  check.end()
  return facts
}
