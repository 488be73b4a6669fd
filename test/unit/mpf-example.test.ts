/** The worked example of the specification is the file it says it is. */
import { createPrivateKey } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import {
  createProgramCheck,
  memorySource,
  openBody,
  openMeta,
  parseTrustBundle,
  readContainer,
  recipientIds,
  selectGrant,
  unwrapKeys,
  verifyManifest,
} from '#mpf'

const ROOT = join(import.meta.dirname, '../..')
const EXAMPLE = join(ROOT, 'test/vectors/mpf/example')
/** A day inside the example's validity. */
const AT_MS = Date.UTC(2030, 0, 1)

async function openExample() {
  const container = await readContainer(memorySource(readFileSync(join(EXAMPLE, 'example.mpf'))))
  const trust = parseTrustBundle(readFileSync(join(EXAMPLE, 'trust.json')))
  const manifest = await verifyManifest(container, {
    trust,
    tenant: trust.tenant,
    atMs: AT_MS,
    seqFloor: () => 0,
  })
  const keys = { p384: createPrivateKey(readFileSync(join(EXAMPLE, 'printer.key.pem'))) }
  const { fid: fileId, ten: tenant } = manifest.payload
  const grant = await selectGrant(
    container,
    { fileId, manifestDigest: manifest.digest, tenant },
    {
      trust,
      recipientIds: recipientIds(keys),
      atMs: AT_MS,
      scope: 'print',
      epochFloor: 0,
      usesOf: () => 0,
    },
  )
  return { container, manifest, content: await unwrapKeys(grant, keys) }
}

t.test('opens to the program it was made from', async t => {
  const { container, manifest, content } = await openExample()
  const meta = await openMeta(container, manifest, content)
  const check = createProgramCheck(
    manifest.payload.pol,
    meta.index,
    manifest.payload.enc.body.lines,
  )
  const blocks: Buffer[] = []
  for await (const block of openBody(container, manifest, content, meta.index)) {
    check.check(block)
    blocks.push(block.text)
  }
  check.end()
  t.same(Buffer.concat(blocks), readFileSync(join(EXAMPLE, 'example.gcode')))
})

t.test('every byte the specification prints is in the file or follows from its keys', async t => {
  const { container, manifest, content } = await openExample()
  const appendix =
    readFileSync(join(ROOT, 'mpf/SPEC.md'), 'utf8')
      .split(/^## Appendix /m)
      .at(-2) ?? ''
  const dumps = [...appendix.matchAll(/```\n([0-9a-f \n]+?)\n```/g)].map(([, dump = '']) =>
    dump.replace(/\s/g, ''),
  )
  t.equal(dumps.length, 8, 'hex dumps in the appendix')
  const file = readFileSync(join(EXAMPLE, 'example.mpf')).toString('hex')
  const { fid, pub } = manifest.payload
  const context = `${Buffer.from('MPF1\0\x01').toString('hex')}${Buffer.from(fid, 'base64url').toString('hex')}${Buffer.from(pub, 'base64url').toString('hex')}`
  const derived = [
    Buffer.concat([content.meta, content.body ?? Buffer.alloc(0)]).toString('hex'),
    context,
  ]
  const unexplained = dumps
    .slice(0, 6)
    .filter(dump => !file.includes(dump) && !derived.includes(dump))
  t.same(unexplained, [])
  t.ok(file.startsWith(dumps[0] ?? 'none'))
  t.equal(dumps[6]?.length, 2 * manifest.meta.plainBytes)
  t.equal(dumps[7]?.length, 2 * manifest.body.plainBytes)
  t.ok(appendix.includes(manifest.digest))
  t.equal(container.sections.ENC.offset, 8192)
})
