/** `mpf inspect`: what anyone can see of a sealed file, vouched for by nobody; to a printer it was granted to, also its metadata. */

import {
  type Container,
  decodeGrants,
  type PartMetadata,
  parsePublicHeader,
  readContainer,
  readSection,
  signatureHeaders,
  type Thumbnail,
} from '#mpf'
import type { Command, CommandContext } from '../command.ts'
import { UsageError } from '../errors.ts'
import { openSealed } from '../files.ts'
import { readTrust } from '../key-files.ts'
import {
  openGranted,
  READ_HELP,
  READ_OPTIONS,
  readDetached,
  readManifest,
  readRecipient,
} from '../reading.ts'

export const inspect: Command = {
  name: 'inspect',
  summary: 'show the layout and public header of a sealed file, to its printer the metadata too',
  usage: 'mpf inspect FILE.mpf [--trust BUNDLE.json --key PRINTER.key.pem]',
  help: `Without a key: sections, public header, signer and recipients as they stand in the file. It vouches for nothing;
use \`mpf verify\` to know whether to believe them. With a printer's key: origin, grant (one to view is enough) and metadata
are checked, and what the file says of its part is shown: info, geometry, thumbnails (--json: their bytes too). The program is
not looked at.

${READ_HELP}`,
  options: READ_OPTIONS,
  run: runInspect,
}

async function runInspect(context: CommandContext): Promise<number> {
  const [path] = context.operands
  if (path === undefined || context.operands.length !== 1) throw new UsageError('expected one file')
  await using source = await openSealed(path)
  const container = await readContainer(source)
  const outside = await readOutside(container)
  const metadata = await readMetadata(context, container)
  if (context.isJson) {
    const inside = metadata && {
      metadata: { ...metadata, thumbnails: metadata.thumbnails.map(encodeThumbnail) },
    }
    context.print(JSON.stringify({ ...outside, ...inside }))
  } else {
    context.print(`${path}: ${source.sizeBytes} bytes (${metadata ? 'program ' : ''}not verified)`)
    for (const line of outsideText(outside)) context.print(line)
    for (const line of metadata ? metadataText(metadata) : []) context.print(line)
  }
  return 0
}

interface Outside {
  readonly sizeBytes: number
  readonly public: unknown
  readonly signatures: readonly unknown[]
  readonly recipients: readonly string[]
  readonly sections: readonly {
    readonly name: string
    readonly offset: number
    readonly length: number
  }[]
}

async function readOutside(container: Container): Promise<Outside> {
  return {
    sizeBytes: container.source.sizeBytes,
    public: parsePublicHeader(await readSection(container, 'PUB')),
    signatures: signatureHeaders(await readSection(container, 'MAN')),
    recipients: [...decodeGrants(await readSection(container, 'GRT')).keys()],
    sections: Object.entries(container.sections).map(([name, { offset, length }]) => {
      return { name, offset, length }
    }),
  }
}

/** What a grant of any scope opens; undefined without a key. */
async function readMetadata(
  context: CommandContext,
  container: Container,
): Promise<PartMetadata | undefined> {
  const recipient = await readRecipient(context)
  const detached = await readDetached(context)
  if (!recipient) {
    if (detached || context.text('trust') !== undefined)
      throw new UsageError('--trust and --grant are of use only with a key: see mpf verify')
    return undefined
  }
  const trust = await readTrust(context.required('trust'))
  const manifest = await readManifest(container, trust)
  using opened = await openGranted(container, manifest, {
    ...{ trust, recipient, detached },
    scope: 'view',
  })
  const { info, geometry, thumbnails } = opened.meta
  return { info, geometry, thumbnails }
}

function encodeThumbnail({ kind, bytes }: Thumbnail) {
  return { kind, base64: Buffer.from(bytes).toString('base64') }
}

function outsideText(outside: Outside): readonly string[] {
  return [
    `public     ${JSON.stringify(outside.public)}`,
    ...outside.signatures.map(header => `signature  ${JSON.stringify(header)}`),
    ...outside.sections.map(
      ({ name, offset, length }) => `${name}        ${length} bytes at ${offset}`,
    ),
    ...outside.recipients.map(recipient => `grant for  ${recipient}`),
  ]
}

function metadataText({ info, geometry, thumbnails }: PartMetadata): readonly string[] {
  return [
    ...Object.entries(info).map(([name, value]) => `${name.padEnd(15)} ${JSON.stringify(value)}`),
    ...(geometry ? [`${'geometry'.padEnd(15)} ${JSON.stringify(geometry)}`] : []),
    ...thumbnails.map(
      ({ kind, bytes }) => `${'thumbnail'.padEnd(15)} ${kind}, ${bytes.length} bytes`,
    ),
  ]
}
