/** `mpf trust`: a trust bundle, the list of whom a tenant's printers believe. */

import { randomBytes } from 'node:crypto'
import { encodeBase64url, keyId, MpfError, parseTrustBundle, type TrustBundleJson } from '#mpf'
import type { Command } from '../command.ts'
import { ToolError, UsageError } from '../errors.ts'
import { wallClockS } from '../granting.ts'
import { algorithmOf, readPublicKey, SIGNING_KEYS, writeNew } from '../key-files.ts'

const DAY_S = 86_400

export const trust: Command = {
  name: 'trust',
  summary: "make a trust bundle: the keys a tenant's printers believe",
  usage:
    'mpf trust --publish PUB.pem --grant PUB.pem --out BUNDLE.json [--tenant ID] [--epoch N] [--days N]',
  help: `  --publish FILE  public key that may sign files (repeatable)
  --grant FILE    public key that may sign grants (repeatable)
  --out FILE      where to write the bundle; it must not exist
  --tenant ID     tenant, 16 bytes in base64url (default: a new random one)
  --epoch N       revision of the bundle, growing (default 1)
  --days N        validity of the keys from now (default 365)
  --require-pq    refuse files without a post-quantum signature and grants without the hybrid
  --revoke-manifest DIGEST, --revoke-grant ID   what to refuse from now on (repeatable)`,
  options: {
    publish: { type: 'string', multiple: true },
    grant: { type: 'string', multiple: true },
    out: { type: 'string' },
    tenant: { type: 'string' },
    epoch: { type: 'string' },
    days: { type: 'string' },
    'require-pq': { type: 'boolean' },
    'revoke-manifest': { type: 'string', multiple: true },
    'revoke-grant': { type: 'string', multiple: true },
  },
  async run(context) {
    if (context.operands.length > 0) throw new UsageError('expected options only')
    const nowS = wallClockS()
    const validity = { nbf: nowS, exp: nowS + context.integer('days', [1, 36_500], 365) * DAY_S }
    const keys: TrustBundleJson['keys'] = []
    for (const purpose of ['publish', 'grant'] as const)
      for (const file of context.list(purpose))
        keys.push({ ...(await describeKey(file)), purpose, ...validity })
    if (keys.length === 0) throw new UsageError('expected at least one --publish or --grant key')
    const bundle: TrustBundleJson = {
      v: 1,
      pq: context.flag('require-pq') ? 'required' : 'optional',
      tenant: context.text('tenant') ?? encodeBase64url(randomBytes(16)),
      epoch: context.integer('epoch', [0, 2 ** 48], 1),
      keys,
      revoked: {
        manifests: [...context.list('revoke-manifest')],
        grants: [...context.list('revoke-grant')],
      },
    }
    const text = `${JSON.stringify(bundle, undefined, 2)}\n`
    expectBundle(text)
    const out = context.required('out')
    await writeNew({ path: out, contents: text, mode: 0o644 })
    if (context.isJson)
      context.print(
        JSON.stringify({
          out,
          tenant: bundle.tenant,
          epoch: bundle.epoch,
          keys: keys.map(key => key.kid),
        }),
      )
    else context.print(`${out}: tenant ${bundle.tenant}, ${keys.length} keys`)
    return 0
  },
}

/** @throws UsageError saying which option made a bundle that no printer would take */
function expectBundle(text: string): void {
  try {
    parseTrustBundle(Buffer.from(text))
  } catch (cause) {
    if (!(cause instanceof MpfError)) throw cause
    throw new UsageError(cause.message, { cause })
  }
}

async function describeKey(
  file: string,
): Promise<Pick<TrustBundleJson['keys'][number], 'kid' | 'alg' | 'jwk'>> {
  const key = await readPublicKey(file)
  const alg = algorithmOf(key)
  if (!alg) throw new ToolError('TOOL_KEY', `${file} is not a ${SIGNING_KEYS}`)
  return {
    kid: keyId(key),
    alg,
    jwk: key.export({ format: 'jwk' }) as TrustBundleJson['keys'][number]['jwk'],
  }
}
