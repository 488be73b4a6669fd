/** A second, post-quantum signature is worth nothing if it can be left out, swapped or faked unnoticed. */
import { test } from 'tap'
import { keyId, MpfError } from '#mpf'
import { b64 } from '../fakes/mpf-bytes.ts'
import { forge } from '../fakes/mpf-forge.ts'
import { inspectFile, type Reader, reader, source } from '../fakes/mpf-reader.ts'
import {
  BLOCKS,
  hybrid,
  type Part,
  postQuantumPart,
  stranger,
  trusted,
} from '../fakes/mpf-two-signatures.ts'
import { MADE_AT_S } from '../fakes/mpf-world.ts'

async function codeOf(file: Uint8Array, by: Partial<Reader> = {}): Promise<string> {
  try {
    await inspectFile(source(file), reader({ trust: trusted('optional'), ...by }))
    return 'opens'
  } catch (error) {
    if (error instanceof MpfError) return error.code
    throw error
  }
}

function flipped(part: Part): Part {
  const bytes = Buffer.from(part.signature, 'base64url')
  bytes[100 % bytes.length] = (bytes[100 % bytes.length] ?? 0) ^ 1
  return { ...part, signature: b64(bytes) }
}

test('two signatures open, whether two are required or one', async t => {
  t.equal(await codeOf(hybrid()), 'opens')
  t.equal(await codeOf(hybrid(), { trust: trusted('required') }), 'opens')
  t.equal(await codeOf(forge({ blocks: BLOCKS })), 'opens')
})

test('one signature where two are required is refused', async t => {
  t.equal(await codeOf(forge({ blocks: BLOCKS }), { trust: trusted('required') }), 'MPF_PQ')
  const stripped = hybrid((payload, one) => `${one.protected}.${payload}.${one.signature}`)
  t.equal(await codeOf(stripped, { trust: trusted('required') }), 'MPF_PQ')
})

test('both signatures must hold, each of its own kind and in its own place', async t => {
  const files: readonly (readonly [string, Buffer])[] = [
    [
      'MPF_SIGNATURE',
      hybrid((payload, one, two) => ({ payload, signatures: [one, flipped(two)] })),
    ],
    [
      'MPF_SIGNATURE',
      hybrid((payload, one, two) => ({ payload, signatures: [flipped(one), two] })),
    ],
    [
      'MPF_SIGNATURE',
      hybrid((payload, one) => ({
        payload,
        signatures: [one, postQuantumPart(payload, {}, stranger.privateKey)],
      })),
    ],
    [
      'MPF_SIGNATURE',
      hybrid((payload, one) => ({ payload, signatures: [one, postQuantumPart(`${payload}AAAA`)] })),
    ],
    ['MPF_ALG', hybrid((payload, one, two) => ({ payload, signatures: [two, one] }))],
    ['MPF_ALG', hybrid((payload, one) => ({ payload, signatures: [one, one] }))],
    ['MPF_ALG', hybrid((payload, _, two) => ({ payload, signatures: [two, two] }))],
    ['MPF_ALG', hybrid((payload, _, two) => `${two.protected}.${payload}.${two.signature}`)],
    [
      'MPF_ALG',
      hybrid((payload, one) => ({
        payload,
        signatures: [one, postQuantumPart(payload, { alg: 'ML-DSA-87' })],
      })),
    ],
    [
      'MPF_SIGNER',
      hybrid((payload, one) => ({
        payload,
        signatures: [
          one,
          postQuantumPart(payload, { kid: keyId(stranger.publicKey) }, stranger.privateKey),
        ],
      })),
    ],
    [
      'MPF_HEADER',
      hybrid((payload, one) => ({
        payload,
        signatures: [one, postQuantumPart(payload, { typ: 'mpf-grant+jws' })],
      })),
    ],
    [
      'MPF_HEADER',
      hybrid((payload, one) => ({
        payload,
        signatures: [one, postQuantumPart(payload, { crit: [] })],
      })),
    ],
  ]
  for (const [code, file] of files) t.equal(await codeOf(file), code)
})

test('both signers are known before either signature is looked at', async t => {
  const unknown = (payload: string) =>
    postQuantumPart(payload, { kid: keyId(stranger.publicKey) }, stranger.privateKey)
  const of = (spell: (payload: string, one: Part, two: Part) => readonly Part[]) =>
    codeOf(
      hybrid((payload, one, two) => ({ payload, signatures: spell(payload, flipped(one), two) })),
    )
  t.equal(await of((_, one, two) => [one, two]), 'MPF_SIGNATURE')
  t.equal(await of((payload, one) => [one, unknown(payload)]), 'MPF_SIGNER')
  t.equal(await of((_, one) => [one, one]), 'MPF_ALG')
  t.equal(await of((payload, one) => [one, postQuantumPart(payload, { crit: [] })]), 'MPF_HEADER')
})

test('an empty payload or signature is canonical, and no signature verifies over it', async t => {
  t.equal(
    await codeOf(hybrid((_, one, two) => ({ payload: '', signatures: [one, two] }))),
    'MPF_SIGNATURE',
  )
  t.equal(
    await codeOf(
      hybrid((payload, one, two) => ({ payload, signatures: [one, { ...two, signature: '' }] })),
    ),
    'MPF_SIGNATURE',
  )
})

test('the JSON form has one spelling', async t => {
  const spellings: readonly ((payload: string, one: Part, two: Part) => unknown)[] = [
    (payload, one, two) => JSON.stringify({ payload, signatures: [one, two] }, null, 1),
    (payload, one, two) => `${JSON.stringify({ payload, signatures: [one, two] })}\n`,
    (payload, one, two) => ` ${JSON.stringify({ payload, signatures: [one, two] })}`,
    (payload, one, two) => ({ signatures: [one, two], payload }),
    (payload, one) => ({ payload, signatures: [one] }),
    payload => ({ payload, signatures: [] }),
    (payload, one, two) => ({ payload, signatures: [one, two, two] }),
    (payload, one, two) => ({ payload, signatures: [one, two], x: 1 }),
    (payload, one, two) => ({ payload, signatures: [{ ...one, header: {} }, two] }),
    (payload, one, two) => ({ payload, payload2: payload, signatures: [one, two] }),
    (payload, one, two) => ({ payload: `${payload}=`, signatures: [one, two] }),
    (payload, one, two) => ({
      payload,
      signatures: [one, { ...two, signature: `${two.signature}=` }],
    }),
    (payload, one) => ({ payload, ...one }),
    () => '{}',
    () => '{',
  ]
  for (const [i, spell] of spellings.entries())
    t.equal(await codeOf(hybrid(spell)), 'MPF_HEADER', `spelling ${i}`)
})

test('the second signer has a validity too', async t => {
  t.equal(await codeOf(hybrid(), { trust: trusted('optional', { exp: MADE_AT_S }) }), 'MPF_REVOKED')
  t.equal(
    await codeOf(hybrid(), { trust: trusted('optional', { purpose: 'grant' }) }),
    'MPF_SIGNER',
  )
})
