/** `mpf grant`: re-targets a sealed file to other printers without touching what is signed. */

import {
  type Container,
  decodeGrants,
  encodeGrants,
  readContainer,
  readSection,
  recipientId,
  replaceGrants,
} from '#mpf'
import type { Command, CommandContext } from '../command.ts'
import { ToolError, UsageError } from '../errors.ts'
import { isSameFile, openSealed, writeWhole } from '../files.ts'
import { GRANT_HELP, GRANT_OPTIONS, makeGrant } from '../granting.ts'
import { readRecipient, readRecipientKeys, readSigningKey, readTrust } from '../key-files.ts'
import { openGranted, readManifest } from '../reading.ts'

const COPY_BYTES = 1_048_576

export const grant: Command = {
  name: 'grant',
  summary: 'let other printers open a sealed file, without touching what is signed',
  usage:
    'mpf grant FILE.mpf --trust BUNDLE --holder KEY --issue KEY --to PUB (--out GRANT.mpfg | --into COPY.mpf)',
  help: `Opens the content keys with the holder's own grant (seal the file to a holder key you keep: --to HOLDER.pub.pem),
wraps them for another recipient and signs the grant. The file's manifest and ciphertext stay as they are.

  --trust FILE     trust bundle
  --holder KEY     private key of a recipient of the file
  --holder-hybrid FILE   its hybrid key, if the file was granted to that (with or without the other)
  --issue KEY      grant issuer's private key
  --password-file FILE   password of PKCS#12 keys
  --out FILE       write the grant alone (one --to), to be delivered separately
  --into FILE      write a copy of the sealed file with the grants added
${GRANT_HELP}`,
  options: {
    ...GRANT_OPTIONS,
    trust: { type: 'string' },
    holder: { type: 'string' },
    'holder-hybrid': { type: 'string' },
    issue: { type: 'string' },
    'password-file': { type: 'string' },
    out: { type: 'string', short: 'o' },
    into: { type: 'string' },
  },
  run: runGrant,
}

async function runGrant(context: CommandContext): Promise<number> {
  const [path] = context.operands
  if (path === undefined || context.operands.length !== 1)
    throw new UsageError('expected one sealed file')
  const [out, into] = [context.text('out'), context.text('into')]
  const recipients = await Promise.all(context.list('to').map(readRecipient))
  if ((out === undefined) === (into === undefined))
    throw new UsageError('expected either --out or --into')
  if (recipients.length === 0 || (out !== undefined && recipients.length > 1))
    throw new UsageError('expected --to: one with --out, any number with --into')
  if (out !== undefined && (await isSameFile(out, path)))
    throw new UsageError(`${out} is the sealed file itself`)
  await using source = await openSealed(path)
  const container = await readContainer(source)
  const { grants, segmentBytes } = await makeGrants(context, container, recipients)
  if (out !== undefined) await writeWhole(out, grants.values())
  else if (into !== undefined) await writeCopy(container, segmentBytes, grants, into)
  const target = out ?? into
  if (context.isJson && target !== '-')
    context.print(JSON.stringify({ out: target, recipients: [...grants.keys()] }))
  else context.note(`${target}: granted to ${[...grants.keys()].join(', ')}`)
  return 0
}

async function makeGrants(
  context: CommandContext,
  container: Container,
  recipients: readonly Awaited<ReturnType<typeof readRecipient>>[],
): Promise<{ readonly grants: ReadonlyMap<string, Uint8Array>; readonly segmentBytes: number }> {
  const passwordFile = context.text('password-file')
  const trust = await readTrust(context.required('trust'))
  const files = { p384: context.text('holder'), hybrid: context.text('holder-hybrid') }
  const holder = await readRecipientKeys(files, passwordFile)
  if (!holder) throw new UsageError('--holder or --holder-hybrid is missing')
  const signingKey = await readSigningKey(context.required('issue'), passwordFile)
  if (!trust.keyFor('grant', signingKey.kid))
    throw new ToolError('TOOL_KEY', 'the issuing key is not trusted for grants by this bundle')
  const manifest = await readManifest(container, trust)
  // Proves that these are the keys the publisher committed to before they are passed on.
  using held = await openGranted(container, manifest, { trust, recipient: holder, scope: 'view' })
  const { fid: fileId, ten: tenant } = manifest.payload
  const target = { fileId, manifestDigest: manifest.digest, tenant }
  const grants = new Map<string, Uint8Array>()
  for (const recipient of recipients)
    grants.set(
      recipientId(recipient),
      await makeGrant(context, target, held.keys, recipient, signingKey),
    )
  return { grants, segmentBytes: manifest.segmentBytes }
}

async function writeCopy(
  container: Container,
  segmentBytes: number,
  added: ReadonlyMap<string, Uint8Array>,
  path: string,
): Promise<void> {
  const present = decodeGrants(await readSection(container, 'GRT'))
  const front = await replaceGrants(
    container,
    segmentBytes,
    encodeGrants(new Map([...present, ...added])),
  )
  const { ENC } = container.sections
  await writeWhole(
    path,
    (async function* () {
      yield front
      for (let at = 0; at < ENC.length; at += COPY_BYTES)
        yield Buffer.from(
          await container.source.read(ENC.offset + at, Math.min(COPY_BYTES, ENC.length - at)),
        )
    })(),
  )
}
