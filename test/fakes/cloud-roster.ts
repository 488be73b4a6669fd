/** Keys of every purpose a printer believes, made for one test, and commands signed with them. */
import { createPublicKey, generateKeyPairSync } from 'node:crypto'
import { COMMAND_TYPE, type CommandStatement, ROLES, type Role } from '#lib/command-statement.ts'
import { type DsseSigner, signStatement } from '#lib/dsse.ts'
import { keyId, parseTrustBundle, type SigningKey, type TrustBundle } from '#mpf'

export const TENANT = Buffer.alloc(16, 7).toString('base64url')
export const SERIAL = 'T-1'

export function edKey(): SigningKey {
  const { privateKey } = generateKeyPairSync('ed25519')
  return { kid: keyId(privateKey), algorithm: 'EdDSA', privateKey }
}

export interface Roster {
  /** Two authorities with every role, and one that may only operate. */
  readonly security: SigningKey
  readonly second: SigningKey
  readonly operator: SigningKey
  readonly witness: SigningKey
  readonly publisher: SigningKey
  readonly bundle: Uint8Array
  readonly trust: TrustBundle
}

function entry(key: SigningKey, purpose: string, roles?: readonly Role[]): unknown {
  const jwk = createPublicKey(key.privateKey).export({ format: 'jwk' })
  const base = { kid: key.kid, purpose, alg: key.algorithm, jwk, nbf: 0, exp: 4_000_000_000 }
  return roles ? { ...base, roles } : base
}

/** `more` adds keys, e.g. the publisher of a desk printer. */
export function roster(publisher: SigningKey = edKey()): Roster {
  const [security, second, operator, witness] = [edKey(), edKey(), edKey(), edKey()]
  const bundle = Buffer.from(
    JSON.stringify({
      v: 1,
      tenant: TENANT,
      epoch: 1,
      keys: [
        entry(security, 'command', ROLES),
        entry(second, 'command', ROLES),
        entry(operator, 'command', ['operator']),
        entry(witness, 'witness'),
        entry(publisher, 'publish'),
        entry(publisher, 'grant'),
      ],
      revoked: { manifests: [], grants: [] },
    }),
  )
  const trust = parseTrustBundle(bundle)
  return { security, second, operator, witness, publisher, bundle, trust }
}

interface Pair {
  readonly one: SigningKey
  readonly two: SigningKey
}

/** Two authorities for each role, who have that role only. */
export function roleKeys(): {
  readonly keys: Readonly<Record<Role, Pair>>
  readonly trust: TrustBundle
} {
  const pairs = ROLES.map(role => [role, { one: edKey(), two: edKey() }] as const)
  const entries = pairs.flatMap(([role, { one, two }]) => [
    entry(one, 'command', [role]),
    entry(two, 'command', [role]),
  ])
  const revoked = { manifests: [], grants: [] }
  const bundle = { v: 1, tenant: TENANT, epoch: 1, keys: entries, revoked }
  const trust = parseTrustBundle(Buffer.from(JSON.stringify(bundle)))
  return { keys: Object.fromEntries(pairs) as Record<Role, Pair>, trust }
}

let lastCounter = 0

/** A good `lock` for the test printer at `atMs`, changed by `more`. */
export function command(
  keys: readonly DsseSigner[],
  atMs: number,
  more: Partial<CommandStatement> = {},
): Uint8Array {
  lastCounter += 1
  const atS = Math.floor(atMs / 1000)
  const statement: CommandStatement = {
    v: 1,
    id: `c-${lastCounter}`,
    dev: SERIAL,
    ten: TENANT,
    verb: 'lock',
    args: {},
    role: 'security',
    iss: 'ops',
    nbf: atS - 1,
    exp: atS + 300,
    ctr: lastCounter,
    ...more,
  }
  return signStatement(COMMAND_TYPE, statement, keys)
}
