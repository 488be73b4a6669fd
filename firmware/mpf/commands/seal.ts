/** `mpf seal`: G-code in, one sealed, signed file with grants out. */

import { randomBytes } from 'node:crypto'
import { basename } from 'node:path'
import { loadConfig } from '#config'
import {
  decodeBase64url,
  type MachineProfile,
  type PartMetadata,
  ProgramPacker,
  policyFor,
  recipientId,
  type SealedPrint,
  sealPrint,
} from '#mpf'
import { type Command, type CommandContext, EXIT, UsageError } from '../command.ts'
import { fileStore, readProgram, writeWhole } from '../files.ts'
import { GRANT_HELP, GRANT_OPTIONS, makeGrant } from '../granting.ts'
import { readRecipient, readSigningKey } from '../key-files.ts'
import { createProgress } from '../progress.ts'

const MAX_SHOWN = 20

export const seal: Command = {
  name: 'seal',
  summary: 'seal a G-code program into an MPF file for one or more printers',
  usage: 'mpf seal IN.gcode --out OUT.mpf --tenant ID --sign KEY --issue KEY --to PRINTER.pub.pem',
  help: `Reads G-code (plain or zstd; - for standard input), encrypts and signs it, and writes one file that only the
named printers can open. What the program may do at most (words, positions, temperatures, feed) is measured and signed with it.

  --out FILE       the sealed file (- for standard output; default: IN with .mpf)
  --tenant ID      tenant, 16 bytes in base64url
  --sign KEY       publisher's private key (PEM or PKCS#12)
  --sign-pq KEY    ML-DSA key for a second, post-quantum signature
  --issue KEY      grant issuer's private key (default: the publisher's)
  --password-file FILE   password of the PKCS#12 keys
${GRANT_HELP}
  --title TEXT     name of the part (default: the file's name)
  --label TEXT     classification label
  --model NAME     printer model it is made for (repeatable; default: any whose limits fit)
  --file-id ID --revision N   seal a new revision of an earlier part
  --strip WORDS    comma-separated words whose lines are emptied (M117,M862); each is reported
  --profile FILE   a printer's configuration: refuse now what that printer would refuse, line by line
  --level N        zstd level 1 to 22 (default 19)`,
  options: {
    ...GRANT_OPTIONS,
    'sign-pq': { type: 'string' },
    out: { type: 'string', short: 'o' },
    tenant: { type: 'string' },
    sign: { type: 'string' },
    issue: { type: 'string' },
    'password-file': { type: 'string' },
    title: { type: 'string' },
    label: { type: 'string' },
    model: { type: 'string', multiple: true },
    'file-id': { type: 'string' },
    revision: { type: 'string' },
    strip: { type: 'string' },
    profile: { type: 'string' },
    level: { type: 'string' },
  },
  run: runSeal,
}

async function runSeal(context: CommandContext): Promise<number> {
  const [input, ...more] = context.operands
  if (input === undefined || more.length > 0) throw new UsageError('expected one G-code file, or -')
  const out =
    context.text('out') ??
    (input === '-' ? '-' : `${input.replace(/\.(gcode|gco|g)(\.zst)?$/i, '')}.mpf`)
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
  const packer = createPacker(context, profile)
  const fileId = fileIdOf(context)
  await using store = await fileStore()
  const sealed = await sealPrint({
    fileId,
    tenant,
    issuer: context.text('issuer') ?? 'mpf',
    app: 'mpf',
    madeAtS: Math.floor(Date.now() / 1000),
    seq: context.integer('revision', [0, 2 ** 48], 0),
    signingKey,
    ...(postQuantumFile !== undefined && {
      postQuantumKey: await readSigningKey(postQuantumFile),
    }),
    blocks: packer.blocks(readProgram(input)),
    describe: () => ({
      metadata: describePart(context, packer, input),
      policy: policyFor(packer.limits(), {
        models: context.list('model'),
        nozzleUm: packer.facts.nozzleUm ?? 0,
      }),
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
  reportSealed(context, packer, sealed, { out, bytes, grants: grants.size })
  return 0
}

function createPacker(context: CommandContext, profile: MachineProfile | undefined): ProgramPacker {
  const progress = createProgress('sealing')
  let bytes = 0
  return new ProgramPacker({
    level: context.integer('level', [1, 22], 19),
    strip: new Set((context.text('strip') ?? '').split(',').filter(Boolean)),
    ...(profile && { profile }),
    onProgress(blockBytes) {
      bytes += blockBytes
      progress(bytes)
    },
  })
}

async function profileOf(context: CommandContext): Promise<MachineProfile | undefined> {
  const file = context.text('profile')
  return file === undefined ? undefined : (await loadConfig(file)).printer.profile
}

function fileIdOf(context: CommandContext): Uint8Array {
  const given = context.text('file-id')
  if (given === undefined) return randomBytes(16)
  const fileId = decodeBase64url(given)
  if (fileId?.length !== 16) throw new UsageError('--file-id: expected 16 bytes in base64url')
  return fileId
}

function describePart(context: CommandContext, packer: ProgramPacker, input: string): PartMetadata {
  const { facts } = packer
  const label = context.text('label')
  return {
    info: {
      title: context.text('title') ?? basename(input).replace(/\.(gcode|gco|g)(\.zst)?$/i, ''),
      layers: packer.layers,
      ...(label !== undefined && { label }),
      ...(facts.slicer !== undefined && { slicer: facts.slicer }),
      ...(facts.profile !== undefined && { profile: facts.profile }),
      ...(facts.layerHeightUm !== undefined && { layerHeightUm: facts.layerHeightUm }),
      ...(facts.timeS !== undefined && { timeS: facts.timeS }),
      ...(facts.filamentUm.length > 0 && { materials: materialsOf(packer) }),
    },
    thumbnails: packer.thumbnails(),
    geometry: undefined,
  }
}

function materialsOf(packer: ProgramPacker): NonNullable<PartMetadata['info']['materials']> {
  const { filamentUm, filamentMg, filamentNames } = packer.facts
  return filamentUm.map((lengthUm, tool) => {
    const massMg = filamentMg[tool]
    return {
      tool,
      kind: 'plastic' as const,
      name: filamentNames[tool] ?? '',
      lengthUm,
      ...(massMg !== undefined && { massMg }),
    }
  })
}

/** What the writer changed in the slicer's text: never silently. */
function reportChanges(context: CommandContext, packer: ProgramPacker): void {
  const { carriageReturns, tabs, commentBytes, cutComments, stripped } = packer.report
  const changes = [
    [carriageReturns, 'CR LF line ends became LF'],
    [tabs, 'tabs became spaces'],
    [commentBytes, 'bytes of comments that are not ASCII became ?'],
    [cutComments, 'comments were cut to 256 bytes'],
  ] as const
  for (const [times, what] of changes) if (times > 0) context.note(`mpf: ${times} ${what}`)
  for (const [word, lines] of stripped)
    context.note(`mpf: stripped ${word} in ${lines.length} lines (first: line ${lines[0]})`)
}

function refuse(context: CommandContext, packer: ProgramPacker): number {
  if (context.isJson)
    context.print(JSON.stringify({ refusedLines: packer.refusedLines, refused: packer.refused }))
  for (const { code, line, problem } of packer.refused.slice(0, MAX_SHOWN))
    context.note(`mpf: ${code}: line ${line}: ${problem}`)
  context.note(`mpf: ${packer.refusedLines} lines refused; nothing was written`)
  return EXIT.CONTENT
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
