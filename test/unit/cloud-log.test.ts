/** Merkle tree and checkpoints: proofs hold, and nothing else does. */
import { createPublicKey, generateKeyPairSync } from 'node:crypto'
import { test } from 'tap'
import { cosign, cosignedAtS, openCheckpoint, signCheckpoint } from '#lib/checkpoint.ts'
import { signStatement, verifyStatement } from '#lib/dsse.ts'
import {
  CompactTree,
  consistencyProof,
  EMPTY_ROOT,
  inclusionProof,
  isIncluded,
  leafHash,
  rootOf,
} from '#lib/merkle.ts'
import { edKey } from '../fakes/cloud-roster.ts'

const leaves = Array.from({ length: 37 }, (_, i) => leafHash(Buffer.from(`entry ${i}`)))

/** Test vector of RFC 6962 implementations: the tree over these eight inputs (certificate-transparency). */
const CT_INPUTS = [
  '',
  '00',
  '10',
  '2021',
  '3031',
  '40414243',
  '5051525354555657',
  '606162636465666768696a6b6c6d6e6f',
]
const CT_ROOTS = [
  '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d',
  'fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125',
  'aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77',
  'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
  '4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4',
  '76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef',
  'ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c',
  '5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328',
]

test('roots equal those of the certificate transparency test vectors', async t => {
  const tree = new CompactTree()
  t.same(Buffer.from(tree.root()), Buffer.from(EMPTY_ROOT))
  for (const [i, input] of CT_INPUTS.entries()) {
    tree.append(leafHash(Buffer.from(input, 'hex')))
    t.equal(Buffer.from(tree.root()).toString('hex'), CT_ROOTS[i])
  }
})

test('a kept edge goes on as the tree it was taken from', async t => {
  const tree = new CompactTree()
  for (const leaf of leaves.slice(0, 21)) tree.append(leaf)
  const restored = CompactTree.restore(21, tree.state())
  for (const leaf of leaves.slice(21)) restored.append(leaf)
  t.same(restored.root(), rootOf(leaves))
})

test('every entry of every size is proven included, and no other', async t => {
  for (const size of [1, 2, 3, 7, 8, 20, 37]) {
    const root = rootOf(leaves.slice(0, size))
    for (let index = 0; index < size; index++) {
      const proof = inclusionProof(leaves.slice(0, size), index)
      const leaf = leaves[index] ?? EMPTY_ROOT
      const others = isIncluded(EMPTY_ROOT, { index, size }, proof, root)
      if (!isIncluded(leaf, { index, size }, proof, root) || others) t.fail(`${index} of ${size}`)
    }
  }
  t.ok(consistencyProof(leaves, 20).length > 0)
})

test('a checkpoint opens under the key that signed it only', async t => {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519')
  const name = 'mpfd/log/T-1'
  const checkpoint = { origin: name, size: 37, root: rootOf(leaves) }
  const note = signCheckpoint(checkpoint, { name, key: privateKey })
  t.match(openCheckpoint(note, { name, key: publicKey }), { size: 37 })
  t.equal(openCheckpoint(note.replace('\n37\n', '\n36\n'), { name, key: publicKey }), undefined)
  t.equal(openCheckpoint(note, { name, key: generateKeyPairSync('ed25519').publicKey }), undefined)
})

test('a cosignature tells when the witness saw the checkpoint', async t => {
  const log = generateKeyPairSync('ed25519')
  const witness = generateKeyPairSync('ed25519')
  const note = signCheckpoint(
    { origin: 'o', size: 1, root: EMPTY_ROOT },
    { name: 'o', key: log.privateKey },
  )
  const both = note + cosign(note, { name: 'w', key: witness.privateKey }, 1234)
  t.equal(cosignedAtS(both, { name: 'w', key: witness.publicKey }), 1234)
  t.equal(cosignedAtS(note, { name: 'w', key: witness.publicKey }), undefined)
  t.ok(openCheckpoint(both, { name: 'o', key: log.publicKey }), 'the log signature is still there')
})

test('an envelope has one spelling and one type', async t => {
  const key = edKey()
  const keyOf = () => ({ algorithm: 'EdDSA', publicKey: createPublicKey(key.privateKey) })
  const bytes = signStatement('a/b', { x: 1 }, [key])
  t.match(verifyStatement(bytes, 'a/b', keyOf), { kind: 'verified', statement: { x: 1 } })
  t.match(verifyStatement(bytes, 'a/c', keyOf), { reason: 'malformed' })
  t.match(
    verifyStatement(bytes, 'a/b', () => undefined),
    { reason: 'unknown-signer' },
  )
  t.match(
    verifyStatement(bytes, 'a/b', () => ({
      algorithm: 'EdDSA',
      publicKey: createPublicKey(edKey().privateKey),
    })),
    { reason: 'bad-signature' },
  )
})
