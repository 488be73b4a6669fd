/** Each way the daemon reads a print file. */
import {
  type ByteSource,
  type Container,
  type ContentKeys,
  checkMachine,
  createProgramCheck,
  type GrantScope,
  type MachineProfile,
  type Manifest,
  type Meta,
  memorySource,
  openAtLine,
  openBody,
  openMeta,
  readContainer,
  selectGrant,
  type TrustBundle,
  unwrapKeys,
  verifyCiphertext,
  verifyManifest,
} from '#mpf'
import {
  type KeyName,
  PRINTER_ID,
  PROFILE,
  privateKey,
  READ_AT_MS,
  TENANT,
  trustBundle,
} from './mpf-world.ts'

/** What the printer knows and wants when it reads. */
export interface Reader {
  readonly trust: TrustBundle
  readonly tenant: string
  readonly atMs: number
  readonly seqFloor: number
  readonly printer: KeyName
  readonly recipientIds: readonly string[]
  readonly scope: GrantScope
  readonly epochFloor: number
  readonly uses: number
  readonly detached: Uint8Array | undefined
  readonly profile: MachineProfile
  /** Lets a harness that reads one grant a thousand times unwrap it once. */
  readonly unwrap: typeof unwrapKeys
}

const READER: Reader = {
  trust: trustBundle(),
  tenant: TENANT,
  atMs: READ_AT_MS,
  seqFloor: 0,
  printer: 'printer',
  recipientIds: [PRINTER_ID],
  scope: 'print',
  epochFloor: 0,
  uses: 0,
  detached: undefined,
  profile: PROFILE,
  unwrap: unwrapKeys,
}

export function reader(overrides: Partial<Reader> = {}): Reader {
  return { ...READER, ...overrides }
}

export interface Inspected {
  readonly container: Container
  readonly manifest: Manifest
}

/** Container and manifest only: what the daemon shows of a stick. */
export async function inspectFile(source: ByteSource, by: Reader): Promise<Inspected> {
  const container = await readContainer(source)
  const manifest = await verifyManifest(container, {
    trust: by.trust,
    tenant: by.tenant,
    atMs: by.atMs,
    seqFloor: () => by.seqFloor,
  })
  return { container, manifest }
}

export interface Unlocked extends Inspected {
  readonly keys: ContentKeys
  readonly meta: Meta
}

/** Everything up to the first line. */
export async function unlockFile(source: ByteSource, by: Reader): Promise<Unlocked> {
  const { container, manifest } = await inspectFile(source, by)
  const { fid: fileId, ten: tenant } = manifest.payload
  const grant = await selectGrant(
    container,
    { fileId, manifestDigest: manifest.digest, tenant },
    {
      trust: by.trust,
      recipientIds: by.recipientIds,
      atMs: by.atMs,
      scope: by.scope,
      epochFloor: by.epochFloor,
      usesOf: () => by.uses,
      ...(by.detached && { detached: by.detached }),
    },
  )
  const keys = await by.unwrap(grant, { p384: privateKey(by.printer) })
  const meta = await openMeta(container, manifest, keys)
  checkMachine(manifest.payload.pol, by.profile)
  return { container, manifest, keys, meta }
}

/** The whole program, checked line by line, as a print or preflight reads it. */
export async function readFileText(source: ByteSource, by: Reader): Promise<Buffer> {
  const { container, manifest, keys, meta } = await unlockFile(source, by)
  const { pol, enc } = manifest.payload
  const check = createProgramCheck(pol, meta.index, enc.body.lines)
  const texts: Buffer[] = []
  for await (const block of openBody(container, manifest, keys, meta.index)) {
    check.check(block)
    texts.push(block.text)
  }
  check.end()
  return Buffer.concat(texts)
}

/** Every block from its first line, last block first, as a resume reads it. */
export async function seekFile(source: ByteSource, by: Reader): Promise<Buffer> {
  const { container, manifest, keys, meta } = await unlockFile(source, by)
  const texts: Buffer[] = []
  for (const entry of meta.index.toReversed())
    texts.unshift(await openAtLine(container, manifest, keys, meta.index, entry.firstLine))
  return Buffer.concat(texts)
}

/** Every byte of ENC, without a key. */
export async function verifyFile(source: ByteSource, by: Reader): Promise<void> {
  const { container, manifest } = await inspectFile(source, by)
  await verifyCiphertext(container, manifest)
}

/** The ways into a file. */
export const ENTRY_POINTS = {
  read: readFileText,
  seek: seekFile,
  inspect: inspectFile,
  keyless: verifyFile,
} as const satisfies Record<string, (source: ByteSource, by: Reader) => Promise<unknown>>

export type EntryPoint = keyof typeof ENTRY_POINTS

/** Opens bytes in memory. */
export function source(bytes: Uint8Array): ByteSource {
  return memorySource(bytes)
}

/** Unwraps each grant once: the key agreement is nine tenths of reading a small file. */
export function createUnwrapMemo(): Reader['unwrap'] {
  const known = new Map<string, ContentKeys>()
  return async (grant, keys) => {
    const name = `${grant.id} ${grant.recipientId} ${grant.scope} ${grant.wrappedKeys}`
    const before = known.get(name)
    if (before) return before
    const unwrapped = await unwrapKeys(grant, keys)
    if (known.size < 64) known.set(name, unwrapped)
    return unwrapped
  }
}
