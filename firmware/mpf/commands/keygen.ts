/** `mpf keygen`: a key pair for a publisher, an issuer or a printer. */

import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import { createCsr, encodeBase64url, generateHybridKey, hybridKeyId, keyId } from '#mpf'
import type { Command, CommandContext } from '../command.ts'
import { UsageError } from '../errors.ts'
import { algorithmOf, type NewFile, writeNew } from '../key-files.ts'

const KINDS = {
  'P-384': () => generateKeyPairSync('ec', { namedCurve: 'P-384' }),
  'P-256': () => generateKeyPairSync('ec', { namedCurve: 'P-256' }),
  Ed25519: () => generateKeyPairSync('ed25519'),
  'ML-DSA-65': () => generateKeyPairSync('ml-dsa-65'),
  'ML-DSA-87': () => generateKeyPairSync('ml-dsa-87'),
} as const
const HYBRID = 'hybrid'

export const keygen: Command = {
  name: 'keygen',
  summary: 'make a key pair for a publisher, an issuer or a printer',
  usage: 'mpf keygen NAME [--kind KIND] [--csr CN]',
  help: `Writes NAME.key.pem (PKCS#8, mode 0600) and NAME.pub.pem (SPKI). Neither may exist.

  --kind KIND   P-384 (default: signs, and receives grants), P-256 or Ed25519 (sign only),
                ML-DSA-65 or ML-DSA-87 (second, post-quantum signature),
                hybrid (receives grants wrapped with MLKEM1024-P384; NAME.key.json, NAME.pub.json)
  --csr CN      also write NAME.csr.pem, a PKCS#10 request with this common name (EC keys)`,
  options: { kind: { type: 'string' }, csr: { type: 'string' } },
  async run(context) {
    const [name] = context.operands
    if (name === undefined || context.operands.length !== 1)
      throw new UsageError('expected one NAME')
    const kind = context.text('kind') ?? 'P-384'
    if (kind === HYBRID) return makeHybrid(context, name)
    if (!Object.hasOwn(KINDS, kind))
      throw new UsageError(`--kind ${kind}: expected ${[...Object.keys(KINDS), HYBRID].join(', ')}`)
    const { privateKey, publicKey } = KINDS[kind as keyof typeof KINDS]()
    const commonName = context.text('csr')
    const files = { key: `${name}.key.pem`, pub: `${name}.pub.pem`, csr: `${name}.csr.pem` }
    const request = commonName === undefined ? [] : [requestFile(files.csr, commonName, privateKey)]
    await writeNew(
      {
        path: files.key,
        contents: privateKey.export({ format: 'pem', type: 'pkcs8' }).toString(),
        mode: 0o600,
      },
      {
        path: files.pub,
        contents: publicKey.export({ format: 'pem', type: 'spki' }).toString(),
        mode: 0o644,
      },
      ...request,
    )
    tell(context, files, { kid: keyId(publicKey), algorithm: algorithmOf(privateKey) })
    return 0
  },
}

async function makeHybrid(context: CommandContext, name: string): Promise<number> {
  const pair = await generateHybridKey()
  const publicKey = encodeBase64url(pair.publicKey)
  const files = { key: `${name}.key.json`, pub: `${name}.pub.json` }
  const file = { suite: 'HPKE-0051', publicKey }
  const secret = { ...file, privateKey: encodeBase64url(pair.privateKey) }
  await writeNew(
    { path: files.key, contents: JSON.stringify(secret), mode: 0o600 },
    { path: files.pub, contents: JSON.stringify(file), mode: 0o644 },
  )
  tell(context, files, { kid: hybridKeyId(pair.publicKey), algorithm: 'HPKE-0051' })
  return 0
}

function tell(
  context: CommandContext,
  files: { readonly key: string; readonly pub: string },
  key: { readonly kid: string; readonly algorithm: string | undefined },
): void {
  if (context.isJson)
    context.print(JSON.stringify({ ...key, privateKey: files.key, publicKey: files.pub }))
  else context.print(`${files.key}, ${files.pub}\nkey id ${key.kid}`)
}

function requestFile(path: string, commonName: string, privateKey: KeyObject): NewFile {
  const contents = pem('CERTIFICATE REQUEST', createCsr({ commonName }, privateKey))
  return { path, contents, mode: 0o644 }
}

function pem(label: string, der: Uint8Array): string {
  const lines =
    Buffer.from(der)
      .toString('base64')
      .match(/.{1,64}/g) ?? []
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`
}
