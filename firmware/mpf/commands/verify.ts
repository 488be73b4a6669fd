/** `mpf verify`: every check of SPEC 7 that the given keys allow, each with its result. */

import { loadConfig } from '#config'
import { type Container, checkMachine, type Manifest, readContainer, verifyCiphertext } from '#mpf'
import type { Command, CommandContext } from '../command.ts'
import { UsageError } from '../errors.ts'
import { openSealed } from '../files.ts'
import { readTrust } from '../key-files.ts'
import { createProgress } from '../progress.ts'
import {
  type Access,
  checkProgram,
  openGranted,
  READ_HELP,
  READ_OPTIONS,
  readDetached,
  readManifest,
  readRecipient,
  type Step,
} from '../reading.ts'

export const verify: Command = {
  name: 'verify',
  summary: 'check a sealed file: origin and integrity, and with a printer key everything',
  usage:
    'mpf verify FILE.mpf --trust BUNDLE.json [--keyless | --key PRINTER.key.pem] [--profile FILE]',
  help: `Without a key (or with --keyless): layout, signature, binding and every byte against the signed tree. With a printer's
key: also its grant, the content keys, metadata, and every line of the program against the signed envelope. FILE may be - (standard input).

${READ_HELP}
  --profile FILE  a printer's configuration: also check that the envelope fits it
  --keyless       no key even if given
  --explain       print each check with its result`,
  options: {
    ...READ_OPTIONS,
    profile: { type: 'string' },
    keyless: { type: 'boolean' },
    explain: { type: 'boolean' },
  },
  run: runVerify,
}

async function runVerify(context: CommandContext): Promise<number> {
  const [path] = context.operands
  if (path === undefined || context.operands.length !== 1) throw new UsageError('expected one file')
  const access = await accessOf(context)
  const steps: { readonly check: string; readonly ok: boolean }[] = []
  const step: Step = async (check, run) => {
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
    const facts = await checkAll(context, path, access, step)
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

interface Facts {
  readonly fileId: string
  readonly issuer: string
  readonly manifest: string
  readonly lines: number
  readonly keyless: boolean
  readonly what: string
}

/** Whom to believe and with which keys to look. */
type Verifier = Pick<Access, 'trust' | 'detached'> & {
  readonly recipient: Access['recipient'] | undefined
}

async function accessOf(context: CommandContext): Promise<Verifier> {
  const trust = await readTrust(context.required('trust'))
  const recipient = context.flag('keyless') ? undefined : await readRecipient(context)
  const detached = await readDetached(context)
  if (detached && !recipient)
    throw new UsageError('--grant: a grant is checked only with the key it is for')
  return { trust, recipient, detached }
}

async function checkAll(
  context: CommandContext,
  path: string,
  { trust, recipient, detached }: Verifier,
  step: Step,
): Promise<Facts> {
  await using source = await openSealed(path)
  const container = await step('layout: prelude and sections tile the file', () =>
    readContainer(source),
  )
  const manifest = await step('manifest: signer, signature, binding, sizes', () =>
    readManifest(container, trust),
  )
  const { payload } = manifest
  const what = recipient
    ? await checkKeyed(context, container, manifest, { trust, recipient, detached }, step)
    : await checkKeyless(context, container, manifest, step)
  return {
    fileId: payload.fid,
    issuer: payload.iss,
    manifest: manifest.digest,
    lines: payload.enc.body.lines,
    keyless: recipient === undefined,
    what: `${what}, by ${payload.iss}`,
  }
}

async function checkKeyless(
  context: CommandContext,
  container: Container,
  manifest: Manifest,
  step: Step,
): Promise<string> {
  const progress = createProgress('verifying')
  const { length } = container.sections.ENC
  await step('ciphertext: every byte against the signed tree', () =>
    verifyCiphertext(container, manifest, { onProgress: bytes => progress(bytes, length) }),
  )
  await checkProfile(context, manifest, step)
  return `origin and integrity of ${length} bytes`
}

async function checkKeyed(
  context: CommandContext,
  container: Container,
  manifest: Manifest,
  access: Omit<Access, 'scope'>,
  step: Step,
): Promise<string> {
  const { lines, text } = manifest.payload.enc.body
  using opened = await openGranted(container, manifest, { ...access, scope: 'print' }, step)
  await checkProfile(context, manifest, step)
  const progress = createProgress('verifying')
  await step(`program: ${lines} lines, every segment, block and line`, () =>
    checkProgram(container, manifest, opened, { onProgress: bytes => progress(bytes, text) }),
  )
  return `${lines} lines, every check`
}

/** The envelope is signed, not encrypted: whether it fits a printer can be told without a key. */
async function checkProfile(
  context: CommandContext,
  manifest: Manifest,
  step: Step,
): Promise<void> {
  const file = context.text('profile')
  if (file === undefined) return
  await step('envelope: inside this printer', async () =>
    checkMachine(manifest.payload.pol, (await loadConfig(file)).printer.profile),
  )
}
