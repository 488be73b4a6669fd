/** A sealed file read with a key: what `verify`, `inspect`, `grant`, `report` and `preview` have in common. */

import type { ParseArgsOptionsConfig } from 'node:util'
import {
  type Container,
  type ContentKeys,
  createProgramCheck,
  type GrantScope,
  type Manifest,
  type Meta,
  openBody,
  openMeta,
  type ProgramListeners,
  type RecipientKeys,
  readContainer,
  recipientIds,
  selectGrant,
  type TrustBundle,
  unwrapKeys,
  verifyManifest,
} from '#mpf'
import type { CommandContext } from './command.ts'
import { UsageError } from './errors.ts'
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
  --password-file FILE   password of a PKCS#12 key
  --hybrid-key FILE   its hybrid key, with or without the other
  --grant FILE    a grant delivered apart from the file`

/** How a check is run by whoever tells of each. */
export type Step = <T>(check: string, run: () => T | Promise<T>) => Promise<T>

const untold: Step = async (_, run) => run()

/** Whose keys open the file, and how far. */
export interface Access {
  readonly trust: TrustBundle
  readonly recipient: RecipientKeys
  readonly scope: GrantScope
  readonly detached?: Uint8Array | undefined
}

/** What a grant opened; disposing overwrites the keys. */
export interface Opened extends Disposable {
  readonly keys: ContentKeys
  readonly meta: Meta
}

/** What is known before the first line. */
export interface ProgramFacts {
  readonly title: string
  readonly layers: number
}

/** The keys the options name, or undefined when they name none. @throws ToolError */
export async function readRecipient(context: CommandContext): Promise<RecipientKeys | undefined> {
  const files = { p384: context.text('key'), hybrid: context.text('hybrid-key') }
  return readRecipientKeys(files, context.text('password-file'))
}

/** The grant that --grant names. @throws ToolError TOOL_FILE */
export async function readDetached(context: CommandContext): Promise<Uint8Array | undefined> {
  const file = context.text('grant')
  return file === undefined ? undefined : readBytes(file)
}

/** SPEC 7, steps 3 to 8, now. @throws MpfError by code */
export function readManifest(container: Container, trust: TrustBundle): Promise<Manifest> {
  const { tenant } = trust
  return verifyManifest(container, { trust, tenant, atMs: Date.now(), seqFloor: () => 0 })
}

/** SPEC 7, steps 9 to 15, now, as a printer that has seen no other file. @throws MpfError by code */
export async function openGranted(
  container: Container,
  manifest: Manifest,
  { trust, recipient, scope, detached }: Access,
  step: Step = untold,
): Promise<Opened> {
  const { fid: fileId, ten: tenant } = manifest.payload
  const target = { fileId, manifestDigest: manifest.digest, tenant }
  const grant = await step('grant: this printer, in time', () =>
    selectGrant(container, target, {
      ...{ trust, recipientIds: recipientIds(recipient), atMs: Date.now(), scope },
      epochFloor: 0,
      usesOf: () => 0,
      ...(detached && { detached }),
    }),
  )
  using unwrapped = new DisposableStack()
  const keys = unwrapped.use(
    await step('keys: unwrapped for this printer', () => unwrapKeys(grant, recipient)),
  )
  const meta = await step('keys are the ones signed for; metadata and index', () =>
    openMeta(container, manifest, keys),
  )
  const lifetime = unwrapped.move()
  return { keys, meta, [Symbol.dispose]: () => lifetime.dispose() }
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
  const recipient = await readRecipient(context)
  if (!recipient) throw new UsageError('--key or --hybrid-key is missing')
  const detached = await readDetached(context)
  await using source = await openSealed(path)
  const container = await readContainer(source)
  const manifest = await readManifest(container, trust)
  using opened = await openGranted(container, manifest, {
    ...{ trust, recipient, detached },
    scope: 'print',
  })
  const { title, layers } = opened.meta.info
  await checkProgram(container, manifest, opened, { listeners: listenersFor({ title, layers }) })
  return { title, layers }
}

/** SPEC 7, steps 14, 17 and 18, over the whole program. @throws MpfError by code */
export async function checkProgram(
  container: Container,
  manifest: Manifest,
  { keys, meta }: Opened,
  options: {
    readonly listeners?: ProgramListeners
    /** Bytes of text checked so far. */
    readonly onProgress?: (bytes: number) => void
  },
): Promise<void> {
  const { pol, enc } = manifest.payload
  const check = createProgramCheck(pol, meta.index, enc.body.lines, options.listeners)
  let bytes = 0
  for await (const block of openBody(container, manifest, keys, meta.index)) {
    check.check(block)
    bytes += block.text.length
    block.text.fill(0)
    options.onProgress?.(bytes)
  }
  check.end()
}
