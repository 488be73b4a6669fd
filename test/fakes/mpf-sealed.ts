/** Files sealed by the shipped writer, for the test printer. */
import {
  type GrantScope,
  memoryStore,
  ProgramPacker,
  policyFor,
  type SignedPolicy,
  sealPrint,
  signGrant,
} from '#mpf'
import {
  EXPIRES_AT_S,
  FILE_ID,
  GRANT_ID,
  type KeyName,
  MADE_AT_S,
  PRINTER_ID,
  publicKey,
  signingKey,
  TENANT,
} from './mpf-world.ts'

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
