/** `mpf keygen`: a key pair for a publisher, an issuer or a printer. */

import { generateKeyPairSync } from 'node:crypto'
import { createCsr, keyId } from '#mpf'
import { type Command, UsageError } from '../command.ts'
import { algorithmOf, writeNew } from '../key-files.ts'

const KINDS = {
  'P-384': () => generateKeyPairSync('ec', { namedCurve: 'P-384' }),
  'P-256': () => generateKeyPairSync('ec', { namedCurve: 'P-256' }),
  Ed25519: () => generateKeyPairSync('ed25519'),
} as const

export const keygen: Command = {
  name: 'keygen',
  summary: 'make a key pair for a publisher, an issuer or a printer',
  usage: 'mpf keygen NAME [--kind P-384|P-256|Ed25519] [--csr CN]',
  help: `Writes NAME.key.pem (PKCS#8, mode 0600) and NAME.pub.pem (SPKI). Neither may exist.
A printer's key must be P-384: grants are wrapped to it (ECDH-ES+A256KW).

  --kind KIND   P-384 (default), P-256 or Ed25519
  --csr CN      also write NAME.csr.pem, a PKCS#10 request with this common name (EC keys)`,
  options: { kind: { type: 'string' }, csr: { type: 'string' } },
  async run(context) {
    const [name] = context.operands
    if (name === undefined || context.operands.length !== 1)
      throw new UsageError('expected one NAME')
    const kind = context.text('kind') ?? 'P-384'
    if (!Object.hasOwn(KINDS, kind))
      throw new UsageError(`--kind ${kind}: expected ${Object.keys(KINDS).join(', ')}`)
    const { privateKey, publicKey } = KINDS[kind as keyof typeof KINDS]()
    const commonName = context.text('csr')
    const files = { key: `${name}.key.pem`, pub: `${name}.pub.pem`, csr: `${name}.csr.pem` }
    await writeNew(files.key, privateKey.export({ format: 'pem', type: 'pkcs8' }).toString(), 0o600)
    await writeNew(files.pub, publicKey.export({ format: 'pem', type: 'spki' }).toString(), 0o644)
    if (commonName !== undefined)
      await writeNew(
        files.csr,
        pem('CERTIFICATE REQUEST', createCsr({ commonName }, privateKey)),
        0o644,
      )
    const kid = keyId(publicKey)
    if (context.isJson)
      context.print(
        JSON.stringify({
          kid,
          algorithm: algorithmOf(privateKey),
          privateKey: files.key,
          publicKey: files.pub,
        }),
      )
    else context.print(`${files.key}, ${files.pub}\nkey id ${kid}`)
    return 0
  },
}

function pem(label: string, der: Uint8Array): string {
  const lines =
    Buffer.from(der)
      .toString('base64')
      .match(/.{1,64}/g) ?? []
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`
}
