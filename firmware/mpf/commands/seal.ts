/** `mpf seal`: G-code in, one sealed, signed file with grants out. */

import { randomBytes } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { decodeBase64url, type ProgramPacker, recipientId, type SealedPrint, sealPrint } from '#mpf'
import type { Command, CommandContext } from '../command.ts'
import { DESCRIBE_HELP, DESCRIBE_OPTIONS, describePart, readDescription } from '../describing.ts'
import { UsageError } from '../errors.ts'
import { fileStore, isSameFile, readProgram, writeWhole } from '../files.ts'
import { GRANT_HELP, GRANT_OPTIONS, makeGrant, wallClockS } from '../granting.ts'
import { readRecipient, readSigningKey } from '../key-files.ts'
import {
  createPacker,
  PACK_HELP,
  PACK_OPTIONS,
  policyOf,
  profileOf,
  refuse,
  reportChanges,
} from '../packing.ts'

export const seal: Command = {
  name: 'seal',
  summary: 'seal a G-code program into an MPF file for one or more printers',
  usage: 'mpf seal IN.gcode --out OUT.mpf --tenant ID --sign KEY --issue KEY --to PRINTER.pub.pem',
  help: `Reads G-code (plain, gzip or zstd; - for standard input), encrypts and signs it, and writes one file that only the
named printers can open. What the program may do at most (words, positions, temperatures, feed) is measured and signed with it.

  --out FILE       the sealed file (- for standard output; default: IN with .mpf)
  --tenant ID      tenant, 16 bytes in base64url
  --sign KEY       publisher's private key (PEM or PKCS#12)
  --sign-pq KEY    ML-DSA key for a second, post-quantum signature
  --issue KEY      grant issuer's private key (default: the publisher's)
  --password-file FILE   password of the PKCS#12 keys
${GRANT_HELP}
${DESCRIBE_HELP}
  --model NAME     printer model it is made for (repeatable; default: any whose limits fit)
  --file-id ID --revision N   seal a new revision of an earlier part
${PACK_HELP}
  --post-process   work as a slicer's post-processing script: replace IN by the sealed file and have the slicer
                   export it as .mpf; keep the other options in a --settings file.
                   PrusaSlicer without its window (-g) runs the script but keeps its own file name`,
  options: {
    ...GRANT_OPTIONS,
    ...PACK_OPTIONS,
    ...DESCRIBE_OPTIONS,
    'post-process': { type: 'boolean' },
    'sign-pq': { type: 'string' },
    out: { type: 'string', short: 'o' },
    tenant: { type: 'string' },
    sign: { type: 'string' },
    issue: { type: 'string' },
    'password-file': { type: 'string' },
    model: { type: 'string', multiple: true },
    'file-id': { type: 'string' },
    revision: { type: 'string' },
  },
  run: runSeal,
}

async function runSeal(context: CommandContext): Promise<number> {
  const [input, ...more] = context.operands
  if (input === undefined || more.length > 0) throw new UsageError('expected one G-code file, or -')
  const out = outputOf(context, input)
  if (!context.flag('post-process') && (await isSameFile(out, input)))
    throw new UsageError(`${out} is the G-code itself`)
  const tenant = context.required('tenant')
  if (decodeBase64url(tenant)?.length !== 16)
    throw new UsageError('--tenant: expected 16 bytes in base64url')
  const passwordFile = context.text('password-file')
  const signingKey = await readSigningKey(context.required('sign'), passwordFile)
  const postQuantumFile = context.text('sign-pq')
  const issueFile = context.text('issue')
  const issuingKey =
    issueFile === undefined ? signingKey : await readSigningKey(issueFile, passwordFile)
  const recipients = await Promise.all(context.list('to').map(readRecipient))
  const profile = await profileOf(context)
  const given = await readDescription(context)
  const packer = createPacker(context, profile)
  const fileId = fileIdOf(context)
  await using store = await fileStore()
  const sealed = await sealPrint({
    fileId,
    tenant,
    issuer: context.text('issuer') ?? 'mpf',
    app: 'mpf',
    madeAtS: wallClockS(),
    seq: context.integer('revision', [0, 2 ** 48], 0),
    signingKey,
    ...(postQuantumFile !== undefined && {
      postQuantumKey: await readSigningKey(postQuantumFile),
    }),
    blocks: packer.blocks(readProgram(input)),
    describe: () => ({
      metadata: describePart(given, packer, input),
      policy: policyOf(packer, profile, context.list('model')),
    }),
    store,
  })
  using keys = sealed.keys
  reportChanges(context, packer)
  if (packer.refusedLines > 0) return refuse(context, packer)
  const target = { fileId: sealed.manifest.fid, manifestDigest: sealed.manifestDigest, tenant }
  const grants = new Map<string, Uint8Array>()
  for (const recipient of recipients)
    grants.set(
      recipientId(recipient),
      await makeGrant(context, target, keys, recipient, issuingKey),
    )
  const bytes = await writeWhole(out, sealed.file(grants))
  if (context.flag('post-process')) await renameOutput(input)
  reportSealed(context, packer, sealed, { out, bytes, grants: grants.size })
  return 0
}

function outputOf(context: CommandContext, input: string): string {
  if (context.flag('post-process')) return input
  return context.text('out') ?? (input === '-' ? '-' : `${withoutExtension(input)}.mpf`)
}

/** PrusaSlicer and its kin export what the script left in place of the G-code, under the name the script puts into FILE.output_name. */
async function renameOutput(input: string): Promise<void> {
  const target = process.env.SLIC3R_PP_OUTPUT_NAME
  if (target !== undefined)
    // PrusaSlicer finds no directory in a bare name.
    await writeFile(`${input}.output_name`, `${withoutExtension(resolve(target))}.mpf`)
}

function withoutExtension(path: string): string {
  return path.replace(/\.(gcode|gco|g)(\.zst|\.gz)?$/i, '')
}

function fileIdOf(context: CommandContext): Uint8Array {
  const given = context.text('file-id')
  if (given === undefined) return randomBytes(16)
  const fileId = decodeBase64url(given)
  if (fileId?.length !== 16) throw new UsageError('--file-id: expected 16 bytes in base64url')
  return fileId
}

function reportSealed(
  context: CommandContext,
  packer: ProgramPacker,
  sealed: SealedPrint,
  file: { readonly out: string; readonly bytes: number; readonly grants: number },
): void {
  const { enc, fid } = sealed.manifest
  if (context.isJson && file.out !== '-')
    context.print(
      JSON.stringify({
        ...file,
        fileId: fid,
        manifest: sealed.manifestDigest,
        lines: packer.lines,
        layers: packer.layers,
        textBytes: enc.body.text,
        blocks: enc.body.blocks,
        policy: sealed.manifest.pol,
        report: { ...packer.report, stripped: Object.fromEntries(packer.report.stripped) },
      }),
    )
  else
    context.note(
      `${file.out}: ${packer.lines} lines, ${packer.layers} layers, ${enc.body.text} bytes sealed into ${file.bytes}, ${file.grants} grants, file id ${fid}`,
    )
}
