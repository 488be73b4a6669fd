/** A sealed file for measurements: made once, opened as a printer opens it. */

import { generateKeyPairSync, type KeyObject, randomBytes } from 'node:crypto'
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
  readonly printer: KeyObject
}

export interface OpenedBench extends AsyncDisposable {
  readonly container: Container
  readonly manifest: Manifest
  readonly keys: ContentKeys
  /** The compressed blocks. */
  frames(): Promise<readonly Buffer[]>
}

/** Seals `text` into `path` for a printer made for it. */
export async function sealForBench(
  text: Uint8Array,
  level: number,
  path: string,
): Promise<SealedBench> {
  const [signer, printer] = [
    generateKeyPairSync('ec', { namedCurve: 'P-384' }),
    generateKeyPairSync('ec', { namedCurve: 'P-384' }),
  ]
  const tenant = encodeBase64url(randomBytes(16))
  const nowS = Math.floor(Date.now() / 1000)
  const kid = keyId(signer.publicKey)
  const signingKey = { kid, algorithm: 'ES384', privateKey: signer.privateKey } as const
  const jwk = signer.publicKey.export({ format: 'jwk' })
  const keys = (['publish', 'grant'] as const).map(purpose => ({
    kid,
    purpose,
    alg: 'ES384',
    jwk,
    nbf: nowS - 60,
    exp: nowS + 86_400,
  }))
  const bundle = { v: 1, tenant, epoch: 1, keys, revoked: { manifests: [], grants: [] } }
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
    blocks: packer.blocks([text]),
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
  const recipient = { ka: 'JWE', key: printer.publicKey } as const
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
  return {
    path,
    trust: parseTrustBundle(Buffer.from(JSON.stringify(bundle))),
    printer: printer.privateKey,
  }
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
