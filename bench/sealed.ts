/** A sealed file for measurements: made once, opened as a printer opens it. */

import { createPublicKey, generateKeyPairSync, type KeyObject, randomBytes } from 'node:crypto'
import { createWriteStream } from 'node:fs'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { openFileSource } from '#lib/file-source.ts'
import {
  type Container,
  type ContentKeys,
  encodeBase64url,
  keyId,
  type Manifest,
  MpfError,
  memoryStore,
  openMeta,
  ProgramPacker,
  parseTrustBundle,
  policyFor,
  readContainer,
  recipientId,
  recipientIds,
  sealPrint,
  selectGrant,
  signGrant,
  type TrustBundle,
  unwrapKeys,
  verifyManifest,
} from '#mpf'
import { openSealedTree, SealedStream, startStream } from '../mpf/streams.ts'

export interface SealedBench {
  readonly path: string
  readonly trust: TrustBundle
  /** The bundle's JSON, as a printer keeps it. */
  readonly bundle: string
  readonly tenant: string
  readonly printer: KeyObject
}

export interface SealBenchOptions {
  /** How often the text is sealed one after the other. */
  readonly repeat?: number
  /** Whose keys: an earlier file's, for a printer that knows them. */
  readonly keys?: BenchKeys
}

/** A signer that publishes and grants, and a printer. */
export interface BenchKeys {
  readonly signer: KeyObject
  readonly printer: KeyObject
  readonly tenant: string
}

export function makeKeys(): BenchKeys {
  const make = () => generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey
  return { signer: make(), printer: make(), tenant: encodeBase64url(randomBytes(16)) }
}

export interface OpenedBench extends AsyncDisposable {
  readonly container: Container
  readonly manifest: Manifest
  readonly keys: ContentKeys
  /** The compressed blocks. */
  frames(): Promise<readonly Buffer[]>
}

/** Seals `text` into `path`. */
export async function sealForBench(
  text: Uint8Array,
  level: number,
  path: string,
  options: SealBenchOptions = {},
): Promise<SealedBench> {
  const { signer, printer, tenant } = options.keys ?? makeKeys()
  const nowS = Math.floor(Date.now() / 1000)
  const kid = keyId(signer)
  const signingKey = { kid, algorithm: 'ES384', privateKey: signer } as const
  const jwk = createPublicKey(signer).export({ format: 'jwk' })
  const keys = (['publish', 'grant'] as const).map(purpose => ({
    kid,
    purpose,
    alg: 'ES384',
    jwk,
    nbf: 0,
    exp: 4_000_000_000,
  }))
  const bundle = JSON.stringify({
    v: 1,
    tenant,
    epoch: 1,
    keys,
    revoked: { manifests: [], grants: [] },
  })
  const packer = new ProgramPacker({ level })
  const fileId = randomBytes(16)
  const sealed = await sealPrint({
    fileId,
    tenant,
    issuer: 'bench',
    app: 'bench',
    madeAtS: nowS,
    seq: 0,
    signingKey,
    blocks: packer.blocks(Array.from({ length: options.repeat ?? 1 }, () => text)),
    describe: () => ({
      metadata: {
        info: { title: 'bench', layers: packer.layers },
        thumbnails: [],
        geometry: packer.geometry(),
      },
      policy: policyFor(packer.limits(), { models: [], nozzleUm: 0 }),
    }),
    store: memoryStore(),
  })
  const recipient = { ka: 'JWE', key: createPublicKey(printer) } as const
  const grant = await signGrant({
    target: { fileId: encodeBase64url(fileId), manifestDigest: sealed.manifestDigest, tenant },
    recipient,
    keys: sealed.keys,
    issuer: 'bench',
    signingKey,
    grantId: randomBytes(16),
    scope: 'print',
    notBeforeS: nowS - 60,
    expiresS: nowS + 86_400,
    maxUses: 0,
    epoch: 0,
  })
  const file = sealed.file(new Map([[recipientId(recipient), grant]]))
  await pipeline(Readable.from(file), createWriteStream(path))
  return { path, trust: parseTrustBundle(Buffer.from(bundle)), bundle, tenant, printer }
}

/** Steps 1 to 11 of the order of checks. */
export async function openSealedFile({ path, trust, printer }: SealedBench): Promise<OpenedBench> {
  const source = await openFileSource(path, message => new MpfError('MPF_IO', message))
  const container = await readContainer(source)
  const atMs = Date.now()
  const manifest = await verifyManifest(container, {
    trust,
    tenant: trust.tenant,
    atMs,
    seqFloor: () => 0,
  })
  const { fid: fileId, ten: tenant } = manifest.payload
  const recipientKeys = { p384: printer }
  const grant = await selectGrant(
    container,
    { fileId, manifestDigest: manifest.digest, tenant },
    {
      trust,
      recipientIds: recipientIds(recipientKeys),
      atMs,
      scope: 'print',
      epochFloor: 0,
      usesOf: () => 0,
    },
  )
  const keys = await unwrapKeys(grant, recipientKeys)
  return {
    container,
    manifest,
    keys,
    frames: () => readFrames(container, manifest, keys),
    async [Symbol.asyncDispose]() {
      keys[Symbol.dispose]()
      await source[Symbol.asyncDispose]()
    },
  }
}

async function readFrames(
  container: Container,
  manifest: Manifest,
  keys: ContentKeys,
): Promise<readonly Buffer[]> {
  const { index } = await openMeta(container, manifest, keys)
  const floe = startStream(manifest, 2, keys.body ?? new Uint8Array())
  using stream = new SealedStream(
    container,
    manifest,
    await openSealedTree(container, manifest),
    2,
    floe,
  )
  const frames: Buffer[] = []
  for (const entry of index) frames.push(await stream.read(entry.bodyOffset, entry.compressedBytes))
  return frames
}
