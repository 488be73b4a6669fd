/** `mpf verify`: every check of SPEC 7 that the given keys allow, each with its result. */

import { loadConfig } from '#config'
import {
  type Container,
  type ContentKeys,
  checkMachine,
  createProgramCheck,
  type Manifest,
  type Meta,
  openBody,
  openMeta,
  readContainer,
  recipientIds,
  selectGrant,
  type TrustBundle,
  unwrapKeys,
  verifyCiphertext,
  verifyManifest,
} from '#mpf'
import { type Command, type CommandContext, UsageError } from '../command.ts'
import { openSealed } from '../files.ts'
import { readBytes, readRecipientKeys, readTrust } from '../key-files.ts'
import { createProgress } from '../progress.ts'

export const verify: Command = {
  name: 'verify',
  summary: 'check a sealed file: origin and integrity, and with a printer key everything',
  usage:
    'mpf verify FILE.mpf --trust BUNDLE.json [--keyless | --key PRINTER.key.pem] [--profile FILE]',
  help: `Without a key (or with --keyless): layout, signature, binding and every byte against the signed tree. With a printer's
key: also its grant, the content keys, metadata, and every line of the program against the signed envelope. FILE may be - (standard input).

  --trust FILE    trust bundle
  --key FILE      the printer's private key
  --hybrid-key FILE   its hybrid key
  --grant FILE    a grant delivered apart from the file
  --profile FILE  a printer's configuration: also check that the envelope fits it
  --keyless       no key even if given
  --explain       print each check with its result`,
  options: {
    trust: { type: 'string' },
    key: { type: 'string' },
    'password-file': { type: 'string' },
    'hybrid-key': { type: 'string' },
    grant: { type: 'string' },
    profile: { type: 'string' },
    keyless: { type: 'boolean' },
    explain: { type: 'boolean' },
  },
  run: runVerify,
}

async function runVerify(context: CommandContext): Promise<number> {
  const [path] = context.operands
  if (path === undefined || context.operands.length !== 1) throw new UsageError('expected one file')
  const trust = await readTrust(context.required('trust'))
  const steps: { readonly check: string; readonly ok: boolean }[] = []
  const step = async <T>(check: string, run: () => T | Promise<T>): Promise<T> => {
    try {
      const result = await run()
      steps.push({ check, ok: true })
      return result
    } catch (error) {
      steps.push({ check, ok: false })
      throw error
    }
  }
  try {
    const facts = await checkAll(context, path, trust, step)
    if (context.isJson)
      context.print(
        JSON.stringify({
          file: path,
          ok: true,
          ...facts,
          ...(context.flag('explain') && { steps }),
        }),
      )
    else explain(context, steps, `${path}: good: ${facts.what}`)
    return 0
  } catch (error) {
    if (context.flag('explain')) explain(context, steps, undefined)
    throw error
  }
}

function explain(
  context: CommandContext,
  steps: readonly { readonly check: string; readonly ok: boolean }[],
  verdict: string | undefined,
): void {
  // With --json, standard output holds one object and nothing else.
  const say = context.isJson ? context.note : context.print
  if (context.flag('explain'))
    for (const { check, ok } of steps) say(`${ok ? ' ok ' : 'FAIL'} ${check}`)
  if (verdict !== undefined) context.print(verdict)
}

type Step = <T>(check: string, run: () => T | Promise<T>) => Promise<T>

interface Facts {
  readonly fileId: string
  readonly issuer: string
  readonly manifest: string
  readonly lines: number
  readonly keyless: boolean
  readonly what: string
}

async function checkAll(
  context: CommandContext,
  path: string,
  trust: TrustBundle,
  step: Step,
): Promise<Facts> {
  await using source = await openSealed(path)
  const container = await step('layout: prelude and sections tile the file', () =>
    readContainer(source),
  )
  const manifest = await step('manifest: signer, signature, binding, sizes', () =>
    verifyManifest(container, { trust, tenant: trust.tenant, atMs: Date.now(), seqFloor: () => 0 }),
  )
  const { payload } = manifest
  const keyFile = context.flag('keyless') ? undefined : context.text('key')
  const what =
    keyFile === undefined
      ? await checkKeyless(container, manifest, step)
      : await checkKeyed(context, container, manifest, { trust, keyFile }, step)
  return {
    fileId: payload.fid,
    issuer: payload.iss,
    manifest: manifest.digest,
    lines: payload.enc.body.lines,
    keyless: keyFile === undefined,
    what: `${what}, by ${payload.iss}`,
  }
}

async function checkKeyless(container: Container, manifest: Manifest, step: Step): Promise<string> {
  const progress = createProgress('verifying')
  const { length } = container.sections.ENC
  await step('ciphertext: every byte against the signed tree', () =>
    verifyCiphertext(container, manifest, { onProgress: bytes => progress(bytes, length) }),
  )
  return `origin and integrity of ${length} bytes`
}

async function checkKeyed(
  context: CommandContext,
  container: Container,
  manifest: Manifest,
  by: { readonly trust: TrustBundle; readonly keyFile: string },
  step: Step,
): Promise<string> {
  const { payload } = manifest
  const passwordFile = context.text('password-file')
  const recipient = await readRecipientKeys(by.keyFile, context.text('hybrid-key'), passwordFile)
  const detachedFile = context.text('grant')
  const detached = detachedFile === undefined ? undefined : await readBytes(detachedFile)
  const target = { fileId: payload.fid, manifestDigest: manifest.digest, tenant: payload.ten }
  const grant = await step('grant: this printer, in time', () =>
    selectGrant(container, target, {
      trust: by.trust,
      recipientIds: recipientIds(recipient),
      atMs: Date.now(),
      scope: 'print',
      epochFloor: 0,
      usesOf: () => 0,
      ...(detached && { detached }),
    }),
  )
  using keys = await step('keys: unwrapped for this printer', () => unwrapKeys(grant, recipient))
  const meta = await step('keys are the ones signed for; metadata and index', () =>
    openMeta(container, manifest, keys),
  )
  const profileFile = context.text('profile')
  if (profileFile !== undefined)
    await step('envelope: inside this printer', async () =>
      checkMachine(payload.pol, (await loadConfig(profileFile)).printer.profile),
    )
  await step(`program: ${payload.enc.body.lines} lines, every segment, block and line`, () =>
    checkProgram(container, manifest, keys, meta),
  )
  return `${payload.enc.body.lines} lines, every check`
}

async function checkProgram(
  container: Container,
  manifest: Manifest,
  keys: ContentKeys,
  meta: Meta,
): Promise<void> {
  const { pol, enc } = manifest.payload
  const progress = createProgress('verifying')
  const check = createProgramCheck(pol, meta.index, enc.body.lines)
  let bytes = 0
  for await (const block of openBody(container, manifest, keys, meta.index)) {
    check.check(block)
    bytes += block.text.length
    block.text.fill(0)
    progress(bytes, enc.body.text)
  }
  check.end()
}
