/** JOSE headers and spellings that no reader may take, for manifest and grant alike. */

import { createHmac } from 'node:crypto'
import { keyId } from '#mpf'
import { b64 } from '../mpf-bytes.ts'
import { publicKey } from '../mpf-world.ts'

/** A member more in a JOSE header. */
const headerMember = (member: string) => (header: string) => header.replace(/}$/, `,${member}}`)

/** Changes one of a compact serialisation's parts. */
export const part = (i: number, change: (part: string) => string) => (compact: string) => {
  const parts = compact.split('.')
  parts[i] = change(parts[i] ?? '')
  return parts.join('.')
}

/** The same bytes in base64url with the unused last bits set. */
function looseBits(text: string): string {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
  const last = alphabet.indexOf(text.at(-1) ?? '')
  if (text.length % 4 === 0) throw new Error('no unused bits')
  return text.slice(0, -1) + alphabet[last | 1]
}

/** Signs the manifest again with another header, whatever that header says, by `make`. */
export function resign(header: string, make: (input: Buffer) => Uint8Array) {
  return (jws: string) => {
    const input = `${b64(Buffer.from(header))}.${jws.split('.')[1]}`
    return `${input}.${b64(make(Buffer.from(input)))}`
  }
}

export const KID = keyId(publicKey('publisher'))
export const KID_384 = keyId(publicKey('publisher384'))
export const hmacWithPublicKey = (input: Buffer) =>
  createHmac('sha256', publicKey('publisher').export({ format: 'pem', type: 'spki' }))
    .update(input)
    .digest()

/** Spoiled header texts that no reader may take, for either JWS. */
export const HEADERS: readonly (readonly [string, (header: string) => string])[] = [
  ['jwk', headerMember(`"jwk":${JSON.stringify(publicKey('stranger').export({ format: 'jwk' }))}`)],
  ['jku', headerMember('"jku":"https://example.invalid/keys"')],
  ['x5u', headerMember('"x5u":"https://example.invalid/chain"')],
  ['x5c', headerMember('"x5c":["AA"]')],
  ['crit', headerMember('"crit":["exp"],"exp":1')],
  ['zip', headerMember('"zip":"DEF"')],
  ['b64', headerMember('"b64":true')],
  ['cty', headerMember('"cty":"json"')],
  ['unknown-member', headerMember('"x":1')],
  ['proto-member', headerMember('"__proto__":{"alg":"none"}')],
  ['duplicate-kid', headerMember(`"kid":"${KID}"`)],
  ['duplicate-alg-escaped', headerMember('"\\u0061lg":"EdDSA"')],
  ['comma-member', header => header.replace('"alg"', '"alg,kid"').replace(/"kid":"[^"]*",/, '')],
  ['kid-a-number', header => header.replace(/"kid":"[^"]*"/, '"kid":1')],
  ['without-kid', header => header.replace(/"kid":"[^"]*",/, '')],
  ['without-typ', header => header.replace(/,"typ":"[^"]*"/, '')],
  ['typ-upper-case', header => header.replace('mpf-', 'MPF-')],
  ['typ-jwt', header => header.replace(/"typ":"[^"]*"/, '"typ":"JWT"')],
  ['byte-order-mark', header => `\ufeff${header}`],
  ['trailing-text', header => `${header} x`],
  ['array', header => `[${header}]`],
  ['not-json', () => 'alg'],
  ['empty', () => ''],
]

export const SPELLINGS: readonly (readonly [string, (jws: string) => string])[] = [
  ['padding-in-header', part(0, text => `${text}=`)],
  ['padding-in-payload', part(1, text => `${text}=`)],
  ['padding-in-signature', part(2, text => `${text}==`)],
  ['space-before', jws => ` ${jws}`],
  ['newline-after', jws => `${jws}\n`],
  ['space-in-payload', part(1, text => `${text.slice(0, 10)} ${text.slice(10)}`)],
  ['newline-in-signature', part(2, text => `${text.slice(0, 10)}\n${text.slice(10)}`)],
  ['loose-bits-in-signature', part(2, looseBits)],
  ['standard-alphabet', part(2, text => `+${text.slice(1)}`)],
  ['two-parts', jws => jws.slice(0, jws.lastIndexOf('.'))],
  ['four-parts', jws => `${jws}.`],
  ['empty-text', () => ''],
  ['nul-bytes', jws => `${jws}\0`],
]
