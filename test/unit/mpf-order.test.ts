/** A reader stops at the first failure (SPEC 7): what comes later must not run, or a thief learns from it. */
import { test } from 'tap'
import { keyId, MPF_ERROR_CODES, MpfError, type MpfErrorCode } from '#mpf'
import { b64, sha256 } from '../fakes/mpf-bytes.ts'
import { forge } from '../fakes/mpf-forge.ts'
import { grantEntry } from '../fakes/mpf-forge-signed.ts'
import type { Forgery } from '../fakes/mpf-forgery.ts'
import { createUnwrapMemo, type Reader, reader, readFileText, source } from '../fakes/mpf-reader.ts'
import { OTHER_TENANT, publicKey } from '../fakes/mpf-world.ts'

/** Faults that do not disturb each other, in the order in which a reader must meet them. */
const FAULTS: readonly (readonly [MpfErrorCode, Forgery, Partial<Reader>])[] = [
  ['MPF_MAGIC', { prelude: set(0, 0) }, {}],
  ['MPF_VERSION', { prelude: set(8, 9) }, {}],
  ['MPF_LAYOUT', { prelude: set(23, 1) }, {}],
  ['MPF_TRAILING', { file: file => Buffer.concat([file, Buffer.alloc(1)]) }, {}],
  ['MPF_HEADER', { manifestHeader: header => header.replace('{', '{"x":1,') }, {}],
  ['MPF_SIGNER', { publisher: 'stranger' }, {}],
  ['MPF_SIGNATURE', { manifestJws: jws => jws.replace(/[^.]+$/, b64(Buffer.alloc(64))) }, {}],
  ['MPF_MANIFEST', { manifestText: text => text.replace('"v":1', '"v":2') }, {}],
  ['MPF_BINDING', { pubAfter: bytes => Buffer.concat([bytes, Buffer.from(' ')]) }, {}],
  ['MPF_TENANT', {}, { tenant: OTHER_TENANT }],
  ['MPF_ROLLBACK', {}, { seqFloor: 99 }],
  ['MPF_LAYOUT', { tree: tree => Buffer.concat([tree, tree]) }, {}],
  ['MPF_GRANT_SIG', { issuer: 'stranger' }, {}],
  ['MPF_GRANT', { grantText: text => text.replace('"v":1', '"v":2') }, {}],
  ['MPF_GRANT_BINDING', { grant: payload => Object.assign(payload, { mfd: b64(sha256()) }) }, {}],
  ['MPF_GRANT_REVOKED', {}, { epochFloor: 99 }],
  ['MPF_EXPIRED', {}, { atMs: 1_800_000_000_000 }],
  ['MPF_USES', {}, { uses: 9 }],
  ['MPF_UNWRAP', { jwe: () => 'x' }, {}],
  ['MPF_PARAMS', { streamHeader: header => set(0, 1)(header) }, {}],
  ['MPF_KEY_COMMIT', { wrapped: keys => set(0, 1)(keys) }, {}],
  ['MPF_SEG_HASH', { ciphertext: enc => set(30, 1)(enc) }, {}],
  ['MPF_META', { info: 'x' }, {}],
  ['MPF_INDEX', { index: index => set(0, 0x10)(Buffer.from(index)) }, {}],
  ['MPF_POLICY', {}, { profile: { ...reader().profile, model: 'other' } }],
  ['MPF_DECOMPRESS', { frame: () => Buffer.from('not a frame at all') }, {}],
  ['MPF_GCODE', { blocks: ['G28\nM500\n'] }, {}],
]

function set(at: number, value: number): (bytes: Buffer) => Buffer {
  return bytes => {
    bytes[at] = value
    return bytes
  }
}

/** Two forgeries at once: where both spoil the same thing, one after the other. */
function both(one: Forgery, two: Forgery): Forgery {
  const merged: Record<string, unknown> = { ...one, ...two }
  for (const name of Object.keys(one) as (keyof Forgery)[]) {
    const [first, last] = [one[name], two[name]] as [unknown, unknown]
    if (typeof first === 'function' && typeof last === 'function')
      merged[name] = (value: unknown, ...rest: unknown[]) => {
        const between = first(value, ...rest)
        return last(between === undefined ? value : between, ...rest)
      }
  }
  return merged as Forgery
}

const memo = createUnwrapMemo()

async function codeOf(forgery: Forgery, by: Partial<Reader>): Promise<string> {
  try {
    await readFileText(source(forge(forgery)), reader({ unwrap: memo, ...by }))
    return 'opens'
  } catch (error) {
    if (error instanceof MpfError) return error.code
    throw error
  }
}

test('each fault alone gives its code', async t => {
  for (const [code, forgery, by] of FAULTS) t.equal(await codeOf(forgery, by), code)
})

test('of two faults the earlier one is told', async t => {
  for (const [i, [code, forgery, by]] of FAULTS.entries())
    for (const [later, laterForgery, laterBy] of FAULTS.slice(i + 1)) {
      const seen = await codeOf(both(forgery, laterForgery), { ...laterBy, ...by })
      if (seen !== code) t.equal(seen, code, `${code} with ${later}`)
    }
  t.pass()
})

test('the list of codes is in the order of the checks', async t => {
  const met = FAULTS.map(([code]) => code).filter((code, i, all) => all.indexOf(code) === i)
  const listed = MPF_ERROR_CODES.filter(code => met.includes(code))
  t.same(listed, met)
})

test('256 grants are taken, and this printer’s is found among them', async t => {
  const others = Array.from({ length: 255 }, (_, i) =>
    grantEntry(b64(sha256(Buffer.of(i))), Buffer.from('not for me')),
  )
  const grants = (section: Buffer) => Buffer.concat([...others, section])
  t.equal(await codeOf({ grants }, {}), 'opens')
  t.equal(
    await codeOf({ grants }, { recipientIds: [keyId(publicKey('otherPrinter'))] }),
    'MPF_NO_GRANT',
  )
})

test('padding behind the grants is room for more of them', async t => {
  t.equal(
    await codeOf({ grants: section => Buffer.concat([section, Buffer.alloc(4000)]) }, {}),
    'opens',
  )
})

test('a grant apart from the file takes the place of those inside', async t => {
  const section = { bytes: Buffer.alloc(0) }
  forge({
    grants: bytes => {
      section.bytes = Buffer.from(bytes.subarray(34))
      return bytes
    },
  })
  t.equal(await codeOf({ grants: () => Buffer.alloc(0) }, { detached: section.bytes }), 'opens')
  t.equal(await codeOf({ issuer: 'stranger' }, { detached: section.bytes }), 'opens')
})

test('a grant apart from the file excuses no malformed GRT', async t => {
  const section = { bytes: Buffer.alloc(0) }
  forge({
    grants: bytes => {
      section.bytes = Buffer.from(bytes.subarray(34))
      return bytes
    },
  })
  for (const grants of [
    () => Buffer.from('no zeros'),
    (bytes: Buffer) => Buffer.concat([bytes, bytes]),
    () =>
      Buffer.concat(
        Array.from({ length: 257 }, (_, i) =>
          grantEntry(b64(sha256(Buffer.of(i, i >> 8))), Buffer.from('x')),
        ),
      ),
  ])
    t.equal(await codeOf({ grants }, { detached: section.bytes }), 'MPF_LAYOUT')
})

test('the metadata stream’s header is judged before the program’s', async t => {
  const spoiled = (meta: (header: Buffer) => Buffer, body: (header: Buffer) => Buffer) =>
    codeOf(
      { streamHeader: (header, stream) => (stream === 'meta' ? meta(header) : body(header)) },
      {},
    )
  const [parameters, tag] = [set(0, 1), (header: Buffer) => set(73, (header[73] ?? 0) ^ 1)(header)]
  t.equal(await spoiled(tag, parameters), 'MPF_KEY_COMMIT')
  t.equal(await spoiled(parameters, tag), 'MPF_PARAMS')
})

test('a section too long for its kind is told before the end of the file', async t => {
  const long = (name: number, bytes: number) => (prelude: Buffer) => {
    prelude.writeBigUInt64BE(BigInt(bytes), 24 + 24 * name + 16)
    return prelude
  }
  t.equal(await codeOf({ prelude: long(1, 65_537) }, {}), 'MPF_LAYOUT')
  t.equal(await codeOf({ prelude: long(4, 2 ** 39) }, {}), 'MPF_TRUNCATED')
})

test('what a minor version may add is passed over', async t => {
  const file = forge({
    prelude: set(9, 7),
    sections: sections => [
      ...sections.slice(0, 2),
      { type: 0x10, bytes: Buffer.from('new'), align: 1 },
      ...sections.slice(2),
      { type: 0x7fff, bytes: Buffer.alloc(0), align: 1 },
    ],
  })
  t.ok((await readFileText(source(file), reader())).length > 0)
})
