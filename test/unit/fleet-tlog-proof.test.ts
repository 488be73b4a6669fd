/** Evidence that holds offline: every proof of every size, and one failure each. */
import { generateKeyPairSync } from 'node:crypto'
import { test } from 'tap'
import { cosign, signCheckpoint } from '#lib/checkpoint.ts'
import { leafHash, rootOf } from '#lib/merkle.ts'
import {
  makeConsistency,
  makeInclusion,
  type ProofPolicy,
  verifyConsistency,
  verifyInclusion,
} from '../../fleet/tlog-proof.ts'

const log = generateKeyPairSync('ed25519')
const witness = generateKeyPairSync('ed25519')
const name = 'mpfd/log/T-1'
const policy: ProofPolicy = {
  log: { name, key: log.publicKey },
  witness: { name: 'mpfd/witness/t', key: witness.publicKey },
}
const all = Array.from({ length: 40 }, (_, i) => `entry ${i}`)

function headOf(entries: readonly string[]): string {
  const root = rootOf(entries.map(entry => leafHash(Buffer.from(entry))))
  const note = signCheckpoint(
    { origin: name, size: entries.length, root },
    { name, key: log.privateKey },
  )
  return note + cosign(note, { ...policy.witness, key: witness.privateKey }, 1_800_000_000)
}

const refused = { code: 'FLEET_PROOF' }

test('every entry of every size verifies, and under no other number', async t => {
  for (const size of [1, 2, 3, 7, 8, 20, 33]) {
    const entries = all.slice(0, size)
    const note = headOf(entries)
    for (const [index, entry] of entries.entries()) {
      const proof = makeInclusion(entries, index, note)
      t.match(verifyInclusion(proof, entry, policy), { index, cosignedAtS: 1_800_000_000 })
      t.throws(() => verifyInclusion(proof, 'another entry', policy), refused)
      if (size > 1)
        t.throws(
          () =>
            verifyInclusion(
              proof.replace(`index ${index}`, `index ${(index + 1) % size}`),
              entry,
              policy,
            ),
          refused,
        )
    }
  }
})

test('every prefix is consistent with every longer tree, and a rewritten one is not', async t => {
  for (let size = 1; size <= all.length; size++) {
    const entries = all.slice(0, size)
    const note = headOf(entries)
    for (let first = 1; first <= size; first++) {
      const proof = makeConsistency(entries, first, note)
      t.equal(verifyConsistency(proof, headOf(all.slice(0, first)), policy).checkpoint.size, size)
      const rewritten = headOf(['another', ...all.slice(1, first)])
      t.throws(() => verifyConsistency(proof, rewritten, policy), refused)
    }
  }
})

test('refuses what is not signed by both, cut short, or padded', async t => {
  const entries = all.slice(0, 21)
  const note = headOf(entries)
  const proof = makeInclusion(entries, 5, note)
  const verify = (text: string) => () => verifyInclusion(text, 'entry 5', policy)
  t.throws(verify(proof.slice(0, proof.lastIndexOf('— '))), refused, 'no witness')
  t.throws(verify(proof.replace(/— mpfd\/log.*\n/, '')), refused, 'no log')
  t.throws(verify(proof.replace('\n21\n', '\n22\n')), refused, 'another size')
  t.throws(verify(proof.replace(/index 5\n.*\n/, 'index 5\n')), refused, 'a hash short')
  t.throws(verify(proof.replace(/(index 5\n)(.*\n)/, '$1$2$2')), refused, 'a hash more')
  t.throws(verify(proof.replace('index 5', 'index 05')), refused, 'a leading zero')
  t.throws(verify(proof.replace('tlog-proof@v1', 'tlog-proof@v2')), refused, 'another version')
  t.throws(verify('index 5'), refused, 'nothing')
  t.match(verify(proof.replace('index 5', 'extra AAAA\nindex 5'))(), { index: 5 }, 'extra data')
})
