/** Whom a printer believes, and what it takes for JSON and base64url: the ground the signatures stand on. */
import { generateKeyPairSync } from 'node:crypto'
import fc from 'fast-check'
import { test } from 'tap'
import { decodeBase64url, encodeBase64url, keyId, MpfError, parseTrustBundle } from '#mpf'
import { parseStrictJson, StrictJsonError } from '../../mpf/strict-json.ts'
import { algorithmOf, publicKey, trustBundle, trustJson } from '../fakes/mpf-world.ts'

type Json = Record<string, unknown>

/** The bundle with its first key changed. */
function withKey(change: (key: Json) => void): Buffer {
  const bundle = structuredClone(trustJson()) as unknown as { keys: Json[] }
  const [first] = bundle.keys
  if (first) change(first)
  return Buffer.from(JSON.stringify(bundle))
}

test('trusts a key for its own purpose only', async t => {
  const trust = trustBundle()
  const kid = keyId(publicKey('publisher'))
  t.equal(trust.keyFor('publish', kid)?.algorithm, 'EdDSA')
  for (const purpose of ['grant', 'command', 'maintain', 'witness'] as const)
    t.equal(trust.keyFor(purpose, kid), undefined, purpose)
  t.equal(trust.keyFor('publish', '__proto__'), undefined)
})

test('one key may stand for two purposes, once each', async t => {
  const [first] = trustJson().keys
  if (!first) throw new Error('no key')
  const kid = first.kid
  const both = trustBundle({ keys: [first, { ...first, purpose: 'grant' }] })
  t.ok(both.keyFor('publish', kid) && both.keyFor('grant', kid))
  t.throws(() => trustBundle({ keys: [first, { ...first, exp: 0 }] }), { code: 'MPF_SIGNER' })
})

test('refuses a bundle that is not exactly one', async t => {
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey.export({
    format: 'jwk',
  })
  const changes: readonly (readonly [string, (key: Json) => void])[] = [
    ['a kid of another key', key => Object.assign(key, { kid: keyId(publicKey('issuer')) })],
    ['a kid not canonical', key => Object.assign(key, { kid: `${key.kid}=` })],
    ['an algorithm of another key type', key => Object.assign(key, { alg: 'ES384' })],
    ['alg none', key => Object.assign(key, { alg: 'none' })],
    ['HS256', key => Object.assign(key, { alg: 'HS256' })],
    ['an unknown purpose', key => Object.assign(key, { purpose: 'admin' })],
    ['an unknown member', key => Object.assign(key, { note: '' })],
    ['a private key', key => Object.assign(key.jwk as Json, { d: 'AA' })],
    ['a symmetric key', key => Object.assign(key, { jwk: { kty: 'oct', k: 'AA' } })],
    [
      'a point that is none',
      key => Object.assign(key, { jwk: { kty: 'EC', crv: 'P-384', x: 'AA', y: 'AA' } }),
    ],
    ['a key of no length', key => Object.assign(key.jwk as Json, { x: '' })],
    [
      'an RSA key for EdDSA',
      key => Object.assign(key, { jwk: { kty: 'RSA', n: rsa.n, e: rsa.e } }),
    ],
    [
      'a secp256k1 key',
      key => Object.assign(key, { jwk: { kty: 'EC', crv: 'secp256k1', x: 'AA', y: 'AA' } }),
    ],
    ['no expiry', key => Object.assign(key, { exp: undefined })],
    ['a negative time', key => Object.assign(key, { nbf: -1 })],
  ]
  for (const [name, change] of changes)
    t.throws(() => parseTrustBundle(withKey(change)), { code: 'MPF_SIGNER' }, name)
  for (const text of [
    '',
    '{}',
    '[]',
    'null',
    '{"v":2}',
    `${JSON.stringify(trustJson())} `.repeat(2),
  ])
    t.throws(() => parseTrustBundle(Buffer.from(text)), { code: 'MPF_SIGNER' }, text.slice(0, 10))
})

test('believes RSA keys of 2048 bits and an exponent of 65537 or more', async t => {
  for (const [modulusLength, publicExponent, isBelieved] of [
    [2048, 65537, true],
    [1024, 65537, false],
    [2048, 3, false],
  ] as const) {
    const key = generateKeyPairSync('rsa', { modulusLength, publicExponent }).publicKey
    const { n, e } = key.export({ format: 'jwk' })
    const bundle = withKey(entry =>
      Object.assign(entry, { kid: keyId(key), alg: 'PS384', jwk: { kty: 'RSA', n, e } }),
    )
    const name = `${modulusLength} bits, exponent ${publicExponent}`
    if (isBelieved) t.ok(parseTrustBundle(bundle).keyFor('publish', keyId(key)), name)
    else t.throws(() => parseTrustBundle(bundle), { code: 'MPF_SIGNER' }, name)
  }
})

test('a key has one spelling', async t => {
  const spellings: readonly ((text: string) => string)[] = [
    text => `${text}=`,
    text => `${text} `,
    text => `${text.slice(0, 5)}\n${text.slice(5)}`,
    text => Buffer.from(text, 'base64url').toString('base64'),
    text => Buffer.concat([Buffer.of(0), Buffer.from(text, 'base64url')]).toString('base64url'),
  ]
  const { keys } = trustJson()
  for (const [alg, members] of [
    ['ES384', ['x', 'y']],
    ['ES256', ['x', 'y']],
    ['EdDSA', ['x']],
    ['PS384', ['n', 'e']],
  ] as const)
    for (const member of members)
      for (const [i, spell] of spellings.entries()) {
        const entry = keys.find(candidate => candidate.alg === alg)
        const jwk: Json = { ...entry?.jwk }
        const [given, spelled] = [jwk[member], spell(String(jwk[member]))]
        if (spelled === given) continue
        const bundle = { ...trustJson(), keys: [{ ...entry, jwk: { ...jwk, [member]: spelled } }] }
        t.throws(
          () => parseTrustBundle(Buffer.from(JSON.stringify(bundle))),
          { code: 'MPF_SIGNER' },
          `${alg} ${member} ${i}`,
        )
      }
})

test('survives any bytes as a bundle', async t => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), fc.nat(), (bytes, at) => {
      const text = Buffer.from(JSON.stringify(trustJson()))
      bytes.forEach((byte, i) => {
        text[(at + i * 37) % text.length] = byte
      })
      try {
        parseTrustBundle(text)
        return true
      } catch (error) {
        return error instanceof MpfError && error.code === 'MPF_SIGNER'
      }
    }),
    { seed: 1, numRuns: 200 },
  )
  t.pass()
})

test('algorithms of the test keys are the ones meant', async t => {
  t.same(
    (['publisher', 'publisher384', 'publisher256', 'publisherRsa'] as const).map(algorithmOf),
    ['EdDSA', 'ES384', 'ES256', 'PS384'],
  )
})

test('strict JSON is what JSON.parse reads, when it reads it at all', async t => {
  fc.assert(
    fc.property(fc.json({ maxDepth: 5 }), text => {
      let value: unknown
      try {
        value = parseStrictJson(Buffer.from(text))
      } catch (error) {
        return error instanceof StrictJsonError
      }
      return JSON.stringify(value) === JSON.stringify(JSON.parse(text))
    }),
    { seed: 2, numRuns: 3000 },
  )
  t.pass()
})

test('strict JSON takes nothing that JSON.parse does not', async t => {
  const piece = fc.constantFrom(
    ...'{}[]":,\\u0n-+.eE19 \t\n'.split(''),
    '"a"',
    'true',
    'null',
    '\u00a0',
    '\ufeff',
  )
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 12 }), pieces => {
      const text = pieces.join('')
      try {
        parseStrictJson(Buffer.from(text))
      } catch (error) {
        return error instanceof StrictJsonError
      }
      JSON.parse(text)
      return true
    }),
    { seed: 3, numRuns: 20_000 },
  )
  t.pass()
})

test('strict JSON has one spelling of an integer and one of a name', async t => {
  for (const text of ['1', '0', '-1', '9007199254740991', '"a"', '{"a":1}', ' [1, 2] '])
    t.same(parseStrictJson(Buffer.from(text)), JSON.parse(text))
  const refused = [
    '-0',
    '1.0',
    '1e3',
    '01',
    '+1',
    '.5',
    '1.',
    '9007199254740992',
    '-9007199254740992',
    '1E0',
  ]
  for (const text of [
    ...refused,
    '{"a":1,"a":1}',
    '{"a":1,"\\u0061":1}',
    '{"__proto__":1}',
    '"\\ud800"',
  ])
    t.throws(() => parseStrictJson(Buffer.from(text)), StrictJsonError, text)
  t.throws(() => parseStrictJson(Buffer.from([0x22, 0xff, 0x22])), StrictJsonError)
  t.throws(() => parseStrictJson(Buffer.from([0x22, 0xed, 0xa0, 0x80, 0x22])), StrictJsonError)
  t.throws(() => parseStrictJson(Buffer.from('[[[[[[[0]]]]]]]')), StrictJsonError)
  t.doesNotThrow(() => parseStrictJson(Buffer.from('[[[[[[0]]]]]]')))
  t.throws(() => parseStrictJson(Buffer.from(`"${'a'.repeat(5_000_000)}"`)), 'a string of 10 MB')
})

test('base64url has one spelling', async t => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), bytes => {
      const decoded = decodeBase64url(encodeBase64url(bytes))
      return decoded !== undefined && Buffer.compare(decoded, bytes) === 0
    }),
  )
  for (const text of ['A', 'AB', 'AAB', 'AA=', 'AA==', 'A A', 'A+', 'A/', 'AA\n', 'é'])
    t.equal(decodeBase64url(text), undefined, JSON.stringify(text))
})
