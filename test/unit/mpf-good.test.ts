/** Strict must not mean useless: files of every shape open to exactly the text that went in, and each part has one encoding. */
import { test } from 'tap'
import { decodeGrants, encodeGrants, openAtLine, readContainer, readSection } from '#mpf'
import { decodeIndex, encodeIndex } from '../../mpf/block-index.ts'
import { encodeFront } from '../../mpf/container.ts'
import { decodeMetadata, encodeMetadata } from '../../mpf/metadata.ts'
import { openSealedTree, SealedStream, startStream } from '../../mpf/streams.ts'
import { forge } from '../fakes/mpf-forge.ts'
import { BLOCKS } from '../fakes/mpf-forge-program.ts'
import {
  ENTRY_POINTS,
  inspectFile,
  reader,
  readFileText,
  seekFile,
  source,
  unlockFile,
} from '../fakes/mpf-reader.ts'
import { createRandom, pngHead, programText } from '../fakes/mpf-samples.ts'
import { sealText } from '../fakes/mpf-sealed.ts'

/** Text whose compressed form has about `bytes` bytes: comments of noise compress by a quarter only. */
function noise(bytes: number): string {
  const random = createRandom(bytes)
  const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+-'
  let text = 'G28\n'
  while (text.length < bytes * 1.3)
    text += `;${Array.from({ length: 60 }, () => letters[random(64)]).join('')}\n`
  return text
}

async function segmentsOf(file: Buffer) {
  const { manifest } = await inspectFile(source(file), reader())
  return { segmentBytes: manifest.segmentBytes, ...manifest.body }
}

const SHAPES: readonly (readonly [string, string])[] = [
  ['one line', 'G28\n'],
  ['one empty line', '\n'],
  ['one empty comment', ';\n'],
  ['only comments', ';\n; \n;;\n ;a\n'],
  ['spaces around commands', '  G1 X1 Y1  \nG1 X2  ; b \n   \n'],
  ['no space between parameters', 'G1X10Y10F600\n'],
  ['a line of 256 bytes', `;${'x'.repeat(255)}\n`],
  ['layers', programText(2000)],
  ['several segments', programText(3000)],
  [
    'heaters, tools, arcs, inches',
    'G28\nT1\nM104 S200\nM109 T0 S210\nG90\nG1 X50 Y50 Z1 F1200\nG2 X60 Y60 I5 J5\nG20\nG1 X2\nG21\nG91\nG1 X1\nG90\nM140 S60\n',
  ],
]

test('every shape comes back as it went in', async t => {
  for (const [name, text] of SHAPES) {
    const file = await sealText(text)
    t.equal((await readFileText(source(file), reader())).toString('latin1'), text, name)
    t.equal(
      (await seekFile(source(file), reader())).toString('latin1'),
      text,
      `${name}, by seeking`,
    )
    await ENTRY_POINTS.keyless(source(file), reader())
  }
})

test('a missing last line end is added', async t => {
  const file = await sealText('G28\nG1 X1 Y1')
  t.equal((await readFileText(source(file), reader())).toString(), 'G28\nG1 X1 Y1\n')
})

test('an empty program is not sealed', async t => {
  await t.rejects(sealText(''), { code: 'MPF_SIZE' })
})

test('frames of exact length: the last segment full, and the last segment of one byte', async t => {
  for (const delta of [-1, 0, 1, 4063, 4064, 4065]) {
    const plain = 4064 + delta
    const text = Buffer.alloc(plain - 10, ';')
    const lines = text.map((byte, i) => ((i + 1) % 100 === 0 || i === text.length - 1 ? 10 : byte))
    const size = lines.length - 256
    const head = Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0x60, size & 255, size >> 8])
    const block = Buffer.alloc(3)
    block.writeUIntLE((lines.length << 3) | 1, 0, 3)
    const blocks = [Buffer.from(lines).toString('latin1')]
    const file = forge({ blocks, frame: () => Buffer.concat([head, block, lines]) })
    const { plainBytes, segments } = await segmentsOf(file)
    t.equal(plainBytes, plain)
    t.equal(segments, Math.ceil(plain / 4064))
    t.equal((await readFileText(source(file), reader())).toString('latin1'), blocks[0])
  }
})

test('the segment size follows the size of the ciphertext', async t => {
  const [small, large] = [await sealText(noise(700_000)), await sealText(noise(1_200_000))]
  t.equal((await segmentsOf(small)).segmentBytes, 4096)
  t.equal((await segmentsOf(large)).segmentBytes, 65536)
  t.ok((await segmentsOf(large)).segments > 10)
  t.equal((await readFileText(source(small), reader())).toString('latin1'), noise(700_000))
  t.equal((await readFileText(source(large), reader())).toString('latin1'), noise(1_200_000))
})

test('several blocks, cut where layers begin', async t => {
  const text = programText(60_000)
  const file = await sealText(text)
  const { meta, container, manifest, keys } = await unlockFile(source(file), reader())
  t.ok(meta.index.length > 1, `${meta.index.length} blocks`)
  const lines = text.split('\n')
  for (const entry of meta.index.slice(1))
    t.match(lines[entry.firstLine - 1], /^;LAYER:/, 'a block begins with a layer')
  const random = createRandom(5)
  for (let n = 0; n < 40; n++) {
    const line = 1 + random(lines.length - 1)
    const rest = await openAtLine(container, manifest, keys, meta.index, line)
    t.equal(rest.toString('latin1', 0, rest.indexOf(10)), lines[line - 1], `line ${line}`)
  }
  t.equal((await readFileText(source(file), reader())).toString('latin1'), text)
})

test('a line that is not there is not sought', async t => {
  const { container, manifest, keys, meta } = await unlockFile(source(forge()), reader())
  const { lines } = manifest.payload.enc.body
  for (const line of [0, -1, 1.5, Number.NaN, lines + 1, lines + 2, 1e15])
    await t.rejects(openAtLine(container, manifest, keys, meta.index, line), { code: 'MPF_INDEX' })
  const last = await openAtLine(container, manifest, keys, meta.index, lines)
  t.equal(last.toString(), 'M104 S0\n')
})

test('a line beyond the end of its own block is not sought', async t => {
  const file = forge({
    entries: entries => {
      for (const entry of entries.slice(1)) entry.firstLine += 5
      return entries
    },
    manifest: payload => {
      const { body } = payload.enc as { body: { lines: number } }
      body.lines += 5
    },
  })
  const { container, manifest, keys, meta } = await unlockFile(source(file), reader())
  for (const line of [702, 705])
    await t.rejects(openAtLine(container, manifest, keys, meta.index, line), { code: 'MPF_INDEX' })
})

test('a view grant opens the metadata and not the program', async t => {
  const file = await sealText('G28\n', { scope: 'view', thumbnails: [PNG] })
  const by = reader({ scope: 'view' })
  const { meta, keys } = await unlockFile(source(file), by)
  t.equal(meta.info.title, 'test')
  t.same(meta.thumbnails, [{ kind: 'png', bytes: PNG }])
  t.equal(keys.body, undefined)
  await t.rejects(readFileText(source(file), by), { code: 'MPF_GRANT_SCOPE' })
})

const PNG = pngHead(1024, 1)

test('every signature algorithm seals and opens', async t => {
  for (const publisher of ['publisher', 'publisher384', 'publisher256', 'publisherRsa'] as const) {
    const file = await sealText('G28\n', { publisher, issuer: 'issuer384' })
    t.equal((await readFileText(source(file), reader())).toString(), 'G28\n', publisher)
    const forged = forge({ publisher, issuer: 'issuer384' })
    t.equal((await readFileText(source(forged), reader())).toString('latin1'), BLOCKS.join(''))
  }
})

test('front and grants are encoded in exactly one way', async t => {
  for (const file of [
    await sealText(programText(500)),
    await sealText(noise(1_200_000)),
    forge(),
  ]) {
    const container = await readContainer(source(file))
    const { manifest } = await inspectFile(source(file), reader())
    const [PUB, MAN, GRT, TRE] = await Promise.all(
      (['PUB', 'MAN', 'GRT', 'TRE'] as const).map(name => readSection(container, name)),
    )
    const { length, offset } = container.sections.ENC
    const parts = { PUB, MAN, GRT, TRE } as Record<'PUB' | 'MAN' | 'GRT' | 'TRE', Uint8Array>
    const front = encodeFront(parts, { length, segmentBytes: manifest.segmentBytes })
    t.equal(Buffer.compare(front, file.subarray(0, offset)), 0)
    t.equal(Buffer.compare(encodeGrants(decodeGrants(parts.GRT)), parts.GRT), 0)
  }
})

test('metadata and index are encoded in exactly one way', async t => {
  for (const file of [await sealText(programText(60_000), { thumbnails: [PNG, PNG] }), forge()]) {
    const { container, manifest, keys } = await unlockFile(source(file), reader())
    const tree = await openSealedTree(container, manifest)
    using floe = startStream(manifest, 1, keys.meta)
    using stream = new SealedStream(container, manifest, tree, 1, floe)
    const bytes = await stream.read(0, manifest.meta.plainBytes)
    const { metadata, index } = decodeMetadata(bytes)
    t.equal(Buffer.compare(encodeMetadata(metadata, index), bytes), 0)
    const entries = decodeIndex(index, manifest.payload.enc.body)
    t.equal(Buffer.compare(encodeIndex(entries), index), 0)
    t.ok(stream.counter.verifiedBytes >= stream.counter.releasedBytes)
  }
})

test('never more released than verified, at any offset and length', async t => {
  const file = forge()
  const { container, manifest, keys } = await unlockFile(source(file), reader())
  const tree = await openSealedTree(container, manifest)
  using floe = startStream(manifest, 2, keys.body ?? Buffer.alloc(0))
  using stream = new SealedStream(container, manifest, tree, 2, floe)
  const whole = await stream.read(0, manifest.body.plainBytes)
  const random = createRandom(8)
  for (let n = 0; n < 300; n++) {
    const offset = random(whole.length)
    const length = random(whole.length - offset)
    const part = await stream.read(offset, length)
    if (!part.equals(whole.subarray(offset, offset + length))) t.fail(`${length} at ${offset}`)
  }
})

test('fresh keys and salt are made for every file', async t => {
  const [one, two] = await Promise.all([sealText('G28\n'), sealText('G28\n')])
  const [first, second] = await Promise.all(
    [one, two].map(file => inspectFile(source(file), reader())),
  )
  t.not(first?.manifest.payload.enc.body.hdr, second?.manifest.payload.enc.body.hdr)
  t.not(first?.manifest.payload.tree.salt, second?.manifest.payload.tree.salt)
})
