/** The post-quantum example of the specification: the shipped reader opens it, and so does the specification's own text, step by step. */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import {
  createProgramCheck,
  decodeGrants,
  memorySource,
  openBody,
  openMeta,
  parseHybridKeyFile,
  parseTrustBundle,
  readContainer,
  readSection,
  recipientIds,
  selectGrant,
  signatureHeaders,
  unwrapKeys,
  verifyManifest,
} from '#mpf'
import { openHybridAgain } from '../fakes/mpf-second-hpke.ts'

const ROOT = join(import.meta.dirname, '../..')
const VECTORS = join(ROOT, 'test/vectors/mpf')
/** A day inside the example's validity. */
const AT_MS = Date.UTC(2030, 0, 1)

const read = (name: string) => readFileSync(join(VECTORS, 'post-quantum', name))
const hybrid = parseHybridKeyFile(read('printer.key.json'))
const { privateKey = Buffer.alloc(0), publicKey = Buffer.alloc(0) } = hybrid ?? {}
const keys = { hybrid: { publicKey, privateKey } }

async function openExample() {
  const container = await readContainer(memorySource(read('example.mpf')))
  const trust = parseTrustBundle(read('trust.json'))
  const { tenant } = trust
  const checks = { trust, tenant, atMs: AT_MS, seqFloor: () => 0 }
  const manifest = await verifyManifest(container, checks)
  const target = { fileId: manifest.payload.fid, manifestDigest: manifest.digest, tenant }
  const grant = await selectGrant(container, target, {
    ...{ trust, recipientIds: recipientIds(keys), atMs: AT_MS, scope: 'print', epochFloor: 0 },
    usesOf: () => 0,
  })
  return { container, trust, manifest, grant, content: await unwrapKeys(grant, keys) }
}

t.test(
  'opens, where two signatures and a hybrid grant are required, to the same program',
  async t => {
    const { container, trust, manifest, content } = await openExample()
    t.ok(trust.requiresPostQuantum)
    const meta = await openMeta(container, manifest, content)
    const { pol, enc } = manifest.payload
    const check = createProgramCheck(pol, meta.index, enc.body.lines)
    const blocks: Buffer[] = []
    for await (const block of openBody(container, manifest, content, meta.index)) {
      check.check(block)
      blocks.push(block.text)
    }
    check.end()
    t.same(Buffer.concat(blocks), readFileSync(join(VECTORS, 'example/example.gcode')))
  },
)

t.test('every value the specification prints is in the file or follows from the seed', async t => {
  const { container, manifest, grant, content } = await openExample()
  const appendix =
    readFileSync(join(ROOT, 'mpf/SPEC.md'), 'utf8')
      .split(/^## Appendix /m)
      .at(-1) ?? ''
  const printed = [...appendix.matchAll(/```\n([0-9a-f \n]+?)\n```/g)].map(([, dump = '']) =>
    dump.replace(/\s/g, ''),
  )
  const wrapped = Buffer.from(grant.wrappedKeys, 'base64url')
  const info = Buffer.from(`MPF1 grant\0${grant.id}\0${grant.recipientId}`)
  const again = openHybridAgain(wrapped, privateKey, info)
  const length = Buffer.alloc(2)
  const grants = decodeGrants(await readSection(container, 'GRT'))
  length.writeUInt16BE(grants.get(grant.recipientId)?.length ?? 0)
  const entry = Buffer.concat([createHash('sha256').update(publicKey).digest(), length])
  t.same(
    printed,
    [
      ...[entry, wrapped.subarray(1568, 1665), wrapped.subarray(1665), Buffer.from(privateKey)],
      ...[again.expanded, again.mlKemSecret, again.ecdhSecret, again.sharedSecret],
      ...[again.key, again.nonce, again.plaintext],
    ].map(bytes => bytes.toString('hex')),
  )
  t.same(again.plaintext, Buffer.concat([content.meta, content.body ?? Buffer.alloc(0)]))
  t.ok(appendix.includes(manifest.digest))
  for (const header of signatureHeaders(await readSection(container, 'MAN')))
    t.ok(appendix.includes(JSON.stringify(header)))
})
