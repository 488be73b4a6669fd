/** Content keys wrapped with the post-quantum hybrid open for their printer, whole and unaltered, and for nobody else. */
import { test } from 'tap'
import {
  contentKeys,
  generateHybridKey,
  type HybridKeyPair,
  hybridKeyId,
  recipientIds,
  signGrant,
  unwrapKeys,
} from '#mpf'
import { b64, sha256 } from '../fakes/mpf-bytes.ts'
import { payloadOf } from '../fakes/mpf-cases.ts'
import { forge } from '../fakes/mpf-forge.ts'
import { grantEntry } from '../fakes/mpf-forge-signed.ts'
import { reader, readFileText, source } from '../fakes/mpf-reader.ts'
import { BLOCKS, hybrid, trusted } from '../fakes/mpf-two-signatures.ts'
import {
  EXPIRES_AT_S,
  FILE_ID,
  GRANT_ID,
  MADE_AT_S,
  privateKey,
  signingKey,
  TENANT,
} from '../fakes/mpf-world.ts'

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
