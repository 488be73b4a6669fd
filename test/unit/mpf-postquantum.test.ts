/** Two signatures and a hybrid key transport are worth nothing if one can be left out, swapped or faked unnoticed. */
import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import { test } from 'tap'
import {
  contentKeys,
  generateHybridKey,
  type HybridKeyPair,
  hybridKeyId,
  keyId,
  MpfError,
  recipientIds,
  signGrant,
  type TrustBundleJson,
  unwrapKeys,
} from '#mpf'
import { payloadOf } from '../fakes/mpf-cases.ts'
import { b64, type Forgery, forge, grantEntry, type Json, sha256 } from '../fakes/mpf-forge.ts'
import {
  EXPIRES_AT_S,
  FILE_ID,
  GRANT_ID,
  inspectFile,
  MADE_AT_S,
  privateKey,
  type Reader,
  reader,
  readFileText,
  signingKey,
  source,
  TENANT,
  trustBundle,
  trustJson,
} from '../fakes/mpf-world.ts'

const BLOCKS = ['G28\nG1 X1 Y1\n']
const second = generateKeyPairSync('ml-dsa-65')
const stranger = generateKeyPairSync('ml-dsa-65')
const KID = keyId(second.publicKey)

function trusted(pq: 'optional' | 'required', changes: Json = {}) {
  const { keys } = trustJson()
  const [first] = keys
  const jwk = second.publicKey.export({ format: 'jwk' }) as TrustBundleJson['keys'][number]['jwk']
  const entry = { ...first, kid: KID, alg: 'ML-DSA-65', jwk, ...changes }
  return trustBundle({ pq, keys: [...keys, entry as TrustBundleJson['keys'][number]] })
}

interface Part {
  readonly protected: string
  readonly signature: string
}

function postQuantumPart(
  payload: string,
  changes: Json = {},
  key: KeyObject = second.privateKey,
): Part {
  const header = { alg: 'ML-DSA-65', kid: KID, typ: 'mpf-manifest+jws', ...changes }
  const protectedHeader = b64(Buffer.from(JSON.stringify(header)))
  const signature = sign(null, Buffer.from(`${protectedHeader}.${payload}`), key)
  return { protected: protectedHeader, signature: b64(signature) }
}

/** A manifest of two signatures; `spell` may write them otherwise. */
function hybrid(
  spell: (payload: string, first: Part, second: Part) => unknown = (payload, one, two) => ({
    payload,
    signatures: [one, two],
  }),
  forgery: Forgery = {},
): Buffer {
  return forge({
    blocks: BLOCKS,
    manifestJws: jws => {
      const [header = '', payload = '', signature = ''] = jws.split('.')
      const spelled = spell(payload, { protected: header, signature }, postQuantumPart(payload))
      return typeof spelled === 'string' ? spelled : JSON.stringify(spelled)
    },
    ...forgery,
  })
}

async function codeOf(file: Uint8Array, by: Partial<Reader> = {}): Promise<string> {
  try {
    await inspectFile(source(file), reader({ trust: trusted('optional'), ...by }))
    return 'opens'
  } catch (error) {
    if (error instanceof MpfError) return error.code
    throw error
  }
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
  const flipped = (part: Part) => {
    const bytes = Buffer.from(part.signature, 'base64url')
    bytes[100 % bytes.length] = (bytes[100 % bytes.length] ?? 0) ^ 1
    return { ...part, signature: b64(bytes) }
  }
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
    (_, one, two) => ({ payload: '', signatures: [one, two] }),
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

/** The forge's own keys, granted to a hybrid recipient. */
async function hybridGrant(file: Buffer, pair: HybridKeyPair): Promise<Uint8Array> {
  return signGrant({
    target: {
      fileId: b64(FILE_ID),
      manifestDigest: b64(sha256(payloadOf(file))),
      tenant: TENANT,
    },
    recipient: { ka: 'HPKE-0051', key: pair.publicKey },
    keys: contentKeys(Buffer.alloc(32, 0x55), Buffer.alloc(32, 0x66)),
    issuer: 'test issuer',
    signingKey: signingKey('issuer'),
    grantId: GRANT_ID,
    scope: 'print',
    notBeforeS: MADE_AT_S,
    expiresS: EXPIRES_AT_S,
    maxUses: 1,
    epoch: 5,
  })
}

test('a hybrid grant opens for its printer and nobody else', async t => {
  const [mine, other] = [await generateHybridKey(), await generateHybridKey()]
  const plain = forge({ blocks: BLOCKS })
  const grant = await hybridGrant(plain, mine)
  const entry = grantEntry(hybridKeyId(mine.publicKey), grant)
  const file = forge({ blocks: BLOCKS, grants: section => Buffer.concat([section, entry]) })
  const by = (hybridKey: HybridKeyPair) => {
    const keys = { p384: privateKey('printer'), hybrid: hybridKey }
    return reader({
      trust: trusted('optional'),
      recipientIds: recipientIds(keys),
      unwrap: chosen => {
        t.equal(
          chosen.keyAgreement,
          hybridKey === mine ? 'HPKE-0051' : 'JWE',
          'the hybrid one first',
        )
        return unwrapKeys(chosen, keys)
      },
    })
  }
  t.equal((await readFileText(source(file), by(mine))).toString(), BLOCKS[0])
  t.equal((await readFileText(source(file), by(other))).toString(), BLOCKS[0], 'by its P-384 grant')
  const wrongKey = reader({
    trust: trusted('optional'),
    recipientIds: [hybridKeyId(mine.publicKey)],
    unwrap: chosen => unwrapKeys(chosen, { p384: privateKey('printer'), hybrid: other }),
  })
  await t.rejects(readFileText(source(file), wrongKey), { code: 'MPF_UNWRAP' })
  const withoutKey = reader({
    ...wrongKey,
    unwrap: chosen => unwrapKeys(chosen, { p384: privateKey('printer') }),
  })
  await t.rejects(readFileText(source(file), withoutKey), { code: 'MPF_UNWRAP' })
})

test('where post-quantum is required a classical grant does not do', async t => {
  const mine = await generateHybridKey()
  const plain = hybrid()
  const keys = { p384: privateKey('printer'), hybrid: mine }
  const by = reader({
    trust: trusted('required'),
    recipientIds: recipientIds(keys),
    unwrap: chosen => unwrapKeys(chosen, keys),
  })
  await t.rejects(readFileText(source(plain), by), { code: 'MPF_PQ' })
  const grant = await hybridGrant(hybridPayload(), mine)
  const file = hybrid(undefined, {
    grants: section => Buffer.concat([section, grantEntry(hybridKeyId(mine.publicKey), grant)]),
  })
  t.equal((await readFileText(source(file), by)).toString(), BLOCKS[0])
})

/** The same payload in a file of one signature, where it is easy to read. */
function hybridPayload(): Buffer {
  return forge({ blocks: BLOCKS })
}

test('a wrapped hybrid key changed in any place is refused alike', async t => {
  const mine = await generateHybridKey()
  const grant = await hybridGrant(forge({ blocks: BLOCKS }), mine)
  const payload = JSON.parse(
    Buffer.from(Buffer.from(grant).toString().split('.')[1] ?? '', 'base64url').toString(),
  )
  const wrapped = Buffer.from(payload.k, 'base64url')
  const open = (k: Buffer) =>
    unwrapKeys(
      {
        id: payload.jti,
        scope: 'print',
        notBeforeMs: 0,
        expiresMs: 0,
        maxUses: 0,
        epoch: 0,
        recipientId: payload.sub,
        keyAgreement: 'HPKE-0051',
        wrappedKeys: b64(k),
      },
      { p384: privateKey('printer'), hybrid: mine },
    )
  t.equal((await open(wrapped)).body?.length, 32)
  for (let at = 0; at < wrapped.length; at += 101) {
    const changed = Buffer.from(wrapped)
    changed[at] = (changed[at] ?? 0) ^ 1
    await t.rejects(open(changed), { code: 'MPF_UNWRAP' }, `byte ${at}`)
  }
  for (const cut of [0, 1, 1664, 1665, wrapped.length - 1])
    await t.rejects(open(wrapped.subarray(0, cut)), { code: 'MPF_UNWRAP' }, `cut to ${cut}`)
  await t.rejects(open(Buffer.concat([wrapped, Buffer.of(0)])), { code: 'MPF_UNWRAP' })
})
