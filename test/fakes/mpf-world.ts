/** A small world around a print file: fixed keys, one tenant, its trust bundle, a printer, and each way the daemon reads a file. */
import { createPrivateKey, createPublicKey, type KeyObject, type webcrypto } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  type ByteSource,
  type Container,
  type ContentKeys,
  checkMachine,
  createProgramCheck,
  DEFAULT_WORDS,
  type GrantScope,
  keyId,
  type MachineProfile,
  type Manifest,
  type Meta,
  memorySource,
  memoryStore,
  openAtLine,
  openBody,
  openMeta,
  ProgramPacker,
  parseTrustBundle,
  policyFor,
  readContainer,
  type SignatureAlgorithm,
  type SignedPolicy,
  type SigningKey,
  sealPrint,
  selectGrant,
  signGrant,
  type TrustBundle,
  type TrustBundleJson,
  unwrapKeys,
  verifyCiphertext,
  verifyManifest,
} from '#mpf'

const jwks: Readonly<Record<KeyName, webcrypto.JsonWebKey>> = JSON.parse(
  readFileSync(join(import.meta.dirname, '../vectors/mpf/keys.json'), 'utf8'),
)

/** Names of the fixed keys in test/vectors/mpf/keys.json. */
export type KeyName =
  | 'publisher'
  | 'issuer'
  | 'publisher384'
  | 'issuer384'
  | 'publisher256'
  | 'publisherRsa'
  | 'expiredPublisher'
  | 'futurePublisher'
  | 'expiredIssuer'
  | 'stranger'
  | 'stranger384'
  | 'printer'
  | 'otherPrinter'

export function privateKey(name: KeyName): KeyObject {
  return createPrivateKey({ key: jwks[name], format: 'jwk' })
}

export function publicKey(name: KeyName): KeyObject {
  return createPublicKey(privateKey(name))
}

export function algorithmOf(name: KeyName): SignatureAlgorithm {
  const { kty, crv } = jwks[name]
  if (kty === 'RSA') return 'PS384'
  if (kty === 'OKP') return 'EdDSA'
  return crv === 'P-256' ? 'ES256' : 'ES384'
}

export function signingKey(name: KeyName): SigningKey {
  const key = privateKey(name)
  return { kid: keyId(key), algorithm: algorithmOf(name), privateKey: key }
}

export const TENANT = Buffer.alloc(16, 0x11).toString('base64url')
export const OTHER_TENANT = Buffer.alloc(16, 0x22).toString('base64url')
export const FILE_ID = Buffer.alloc(16, 0x33)
export const GRANT_ID = Buffer.alloc(16, 0x44)
/** 2026-11-01T00:00:00Z, when the test files are made. */
export const MADE_AT_S = 1793491200
/** A day later, when they are read. */
export const READ_AT_MS = (MADE_AT_S + 86400) * 1000
export const EXPIRES_AT_S = MADE_AT_S + 30 * 86400
export const PRINTER_ID = keyId(publicKey('printer'))

/** The trust bundle as JSON; `revoked` and `tenant` may differ. */
export function trustJson(overrides: Partial<TrustBundleJson> = {}): TrustBundleJson {
  const entry = (name: KeyName, purpose: 'publish' | 'grant', from: number, to: number) => {
    const jwk = publicKey(name).export({ format: 'jwk' }) as TrustBundleJson['keys'][number]['jwk']
    return {
      kid: keyId(publicKey(name)),
      purpose,
      alg: algorithmOf(name),
      jwk,
      nbf: from,
      exp: to,
    }
  }
  const [from, to] = [MADE_AT_S - 86400, MADE_AT_S + 365 * 86400]
  return {
    v: 1,
    tenant: TENANT,
    epoch: 1,
    keys: [
      entry('publisher', 'publish', from, to),
      entry('publisher384', 'publish', from, to),
      entry('publisher256', 'publish', from, to),
      entry('publisherRsa', 'publish', from, to),
      entry('expiredPublisher', 'publish', from, MADE_AT_S),
      entry('futurePublisher', 'publish', MADE_AT_S + 2 * 86400, to),
      entry('issuer', 'grant', from, to),
      entry('issuer384', 'grant', from, to),
      entry('expiredIssuer', 'grant', from, MADE_AT_S),
    ],
    revoked: { manifests: [], grants: [] },
    ...overrides,
  }
}

export function trustBundle(overrides: Partial<TrustBundleJson> = {}): TrustBundle {
  return parseTrustBundle(Buffer.from(JSON.stringify(trustJson(overrides))))
}

export const PROFILE: MachineProfile = {
  model: 'forge-1',
  nozzleMm: 0.4,
  words: DEFAULT_WORDS,
  limitsMm: { min: [0, 0, 0], max: [250, 250, 250] },
  maxFeedMmPerMin: 15000,
  maxExtrusionMmPerMm: 1,
  maxTempC: { hotend: [300, 280], bed: 110, chamber: 0 },
  maxLineBytes: 76,
}

/** What a test publisher signs unless the test says otherwise: inside PROFILE. */
export const POLICY: SignedPolicy = {
  model: ['forge-1'],
  nozzleUm: 400,
  words: [...DEFAULT_WORDS],
  hotendDeciC: [2500, 2200],
  bedDeciC: 1000,
  chamberDeciC: 0,
  feedUmPerMin: 12_000_000,
  extrusionUmPerMm: 1000,
  minUm: [0, 0, 0],
  maxUm: [200_000, 200_000, 200_000],
  line: 76,
}

/** As much of a PNG as says how large it is. */
export function pngHead(width: number, height: number): Buffer {
  const png = Buffer.concat([
    Buffer.from('89504e470d0a1a0a0000000d49484452', 'hex'),
    Buffer.alloc(40),
  ])
  png.writeUInt32BE(width, 16)
  png.writeUInt32BE(height, 20)
  return png
}

/** A QOI header and its end mark. */
export function qoiHead(width: number, height: number): Buffer {
  const qoi = Buffer.concat([Buffer.from('qoif'), Buffer.alloc(17), Buffer.of(1)])
  qoi.writeUInt32BE(width, 4)
  qoi.writeUInt32BE(height, 8)
  qoi[12] = 3
  return qoi
}

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

export interface SealOptions {
  readonly publisher?: KeyName
  readonly issuer?: KeyName
  readonly scope?: GrantScope
  readonly level?: number
  /** Taken from the program where absent. */
  readonly policy?: SignedPolicy
  readonly thumbnails?: readonly Uint8Array[]
}

/** A file sealed by the shipped writer, with one grant for the test printer. */
export async function sealText(
  text: string | Uint8Array,
  options: SealOptions = {},
): Promise<Buffer> {
  const packer = new ProgramPacker({ level: options.level ?? 1 })
  const sealed = await sealPrint({
    fileId: FILE_ID,
    tenant: TENANT,
    issuer: 'test publisher',
    app: 'mpf test',
    madeAtS: MADE_AT_S,
    seq: 1,
    signingKey: signingKey(options.publisher ?? 'publisher'),
    blocks: packer.blocks([Buffer.from(text)]),
    describe: () => ({
      metadata: {
        info: { title: 'test', layers: packer.layers },
        thumbnails: (options.thumbnails ?? []).map(bytes => ({ kind: 'png' as const, bytes })),
        geometry: undefined,
      },
      policy: options.policy ?? policyFor(packer.limits(), { models: [], nozzleUm: 400 }),
    }),
    store: memoryStore(),
  })
  using keys = sealed.keys
  const grant = await signGrant({
    target: {
      fileId: sealed.manifest.fid,
      manifestDigest: sealed.manifestDigest,
      tenant: TENANT,
    },
    recipient: { ka: 'JWE', key: publicKey('printer') },
    keys,
    issuer: 'test issuer',
    signingKey: signingKey(options.issuer ?? 'issuer'),
    grantId: GRANT_ID,
    scope: options.scope ?? 'print',
    notBeforeS: MADE_AT_S,
    expiresS: EXPIRES_AT_S,
    maxUses: 1,
    epoch: 1,
  })
  const parts: Uint8Array[] = []
  for await (const part of sealed.file(new Map([[PRINTER_ID, grant]]))) parts.push(part)
  return Buffer.concat(parts)
}

/** Opens bytes in memory. */
export function source(bytes: Uint8Array): ByteSource {
  return memorySource(bytes)
}

/** A repeatable pseudo-random sequence of 32-bit numbers (mulberry32): a failing run can be run again. */
export function createRandom(seed: number): (below: number) => number {
  let state = seed >>> 0
  return below => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below
  }
}

/** A valid program of `lines` lines inside POLICY, hard to compress. */
export function programText(lines: number, seed = 1): string {
  const random = createRandom(seed)
  const head = ['G28', 'G90', 'M82', 'M104 S210', 'G1 X10 Y10 Z0.2 F3000']
  let e = 0
  const moves = Array.from({ length: Math.max(0, lines - head.length) }, (_, i) => {
    if (i % 100 === 0) return `;LAYER:${i / 100}`
    const [x, y] = [random(190_000), random(190_000)].map(um => (um / 1000).toFixed(3))
    e += random(5000) / 1e5
    return `G1 X${x} Y${y} E${e.toFixed(5)}`
  })
  return `${[...head, ...moves].slice(0, lines).join('\n')}\n`
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
