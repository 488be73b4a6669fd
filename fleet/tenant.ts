/** One tenant of the fleet end: its authority, its signing keys and the trust bundle its printers believe, in one directory. */

import { createPrivateKey, createPublicKey, generateKeyPairSync, randomBytes } from 'node:crypto'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { ROLES } from '#lib/command-statement.ts'
import {
  encodeBase64url,
  keyId,
  parseTrustBundle,
  type SigningKey,
  type TrustBundleJson,
} from '#mpf'
import { FLEET } from './broker-names.ts'
import { type Authority, createAuthority, issueClient, openAuthority } from './ca.ts'
import { FleetError } from './errors.ts'

/** What the fleet end signs with: files, grants, commands of two authorities, and what it witnessed. */
export const TENANT_KEYS = ['publisher', 'issuer', 'security', 'second', 'witness'] as const
export type TenantKey = (typeof TENANT_KEYS)[number]

const YEAR_S = 31_536_000

const tenantSchema = z.strictObject({ v: z.literal(1), id: z.string(), name: z.string() })

export interface Tenant {
  readonly directory: string
  /** 16 bytes, base64url. */
  readonly id: string
  readonly name: string
  readonly authority: Authority
  /** The fleet end's own client identity at the broker. */
  readonly identity: { readonly cert: string; readonly key: string }
  key(name: TenantKey): Promise<SigningKey>
}

/** Makes a tenant in an empty or new directory. @throws FleetError FLEET_FILE when one is there */
export async function createTenant(directory: string, name: string, atMs: number): Promise<Tenant> {
  await mkdir(join(directory, 'keys'), { recursive: true, mode: 0o700 })
  const write = (file: string, text: string, mode = 0o600) =>
    writeFile(join(directory, file), text, { mode, flag: 'wx', flush: true }).catch(cause => {
      throw new FleetError('FLEET_FILE', `${file} is there already`, { cause })
    })
  const id = encodeBase64url(randomBytes(16))
  await write('tenant.json', JSON.stringify({ v: 1, id, name }), 0o644)
  const authority = createAuthority(`${name} fleet authority`, atMs)
  await write('ca.pem', authority.certPem, 0o644)
  await write('keys/ca.key.pem', authority.key.export({ type: 'pkcs8', format: 'pem' }).toString())
  const worker = issueClient(authority, FLEET, atMs, 397)
  await write('fleet.pem', worker.certPem, 0o644)
  await write('keys/fleet.key.pem', worker.keyPem)
  const keys = new Map<TenantKey, SigningKey>()
  for (const key of TENANT_KEYS) {
    const isGrant = key === 'publisher' || key === 'issuer'
    const { privateKey } = isGrant
      ? generateKeyPairSync('ec', { namedCurve: 'P-384' })
      : generateKeyPairSync('ed25519')
    await write(
      `keys/${key}.key.pem`,
      privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    )
    keys.set(key, signingKeyOf(privateKey))
  }
  const bundle = JSON.stringify(bundleOf(id, keys, Math.floor(atMs / 1000)))
  parseTrustBundle(Buffer.from(bundle))
  await write('trust.json', bundle, 0o644)
  return openTenant(directory)
}

/** @throws FleetError FLEET_FILE */
export async function openTenant(directory: string): Promise<Tenant> {
  const read = (file: string) =>
    readFile(join(directory, file), 'utf8').catch(cause => {
      throw new FleetError('FLEET_FILE', `${file} cannot be read`, { cause })
    })
  const tenant = tenantSchema.safeParse(JSON.parse(await read('tenant.json')))
  if (!tenant.success) throw new FleetError('FLEET_FILE', 'tenant.json is not a tenant')
  const authority = openAuthority(await read('ca.pem'), await read('keys/ca.key.pem'))
  const identity = { cert: await read('fleet.pem'), key: await read('keys/fleet.key.pem') }
  return {
    ...{ directory, authority, identity, id: tenant.data.id, name: tenant.data.name },
    key: async name => signingKeyOf(createPrivateKey(await read(`keys/${name}.key.pem`))),
  }
}

function signingKeyOf(privateKey: ReturnType<typeof createPrivateKey>): SigningKey {
  const algorithm = privateKey.asymmetricKeyType === 'ed25519' ? 'EdDSA' : 'ES384'
  return { kid: keyId(privateKey), algorithm, privateKey }
}

function bundleOf(
  tenant: string,
  keys: ReadonlyMap<TenantKey, SigningKey>,
  atS: number,
): TrustBundleJson {
  const purposes = [
    ['publisher', 'publish'],
    ['issuer', 'grant'],
    ['security', 'command'],
    ['second', 'command'],
    ['witness', 'witness'],
  ] as const
  const entries: TrustBundleJson['keys'] = []
  for (const [name, purpose] of purposes) {
    const key = keys.get(name)
    if (!key) continue
    entries.push({
      ...{ kid: key.kid, purpose, alg: key.algorithm, nbf: atS - 300, exp: atS + 2 * YEAR_S },
      jwk: createPublicKey(key.privateKey).export({
        format: 'jwk',
      }) as TrustBundleJson['keys'][number]['jwk'],
      ...(purpose === 'command' && { roles: [...ROLES] }),
    })
  }
  return {
    v: 1,
    tenant,
    epoch: 1,
    pq: 'optional',
    keys: entries,
    revoked: { manifests: [], grants: [] },
  }
}
