/** Strict and unforgeable is a claim until somebody has tried: every file of the adversarial kit, through every way in. */
import { test } from 'tap'
import { MPF_ERROR_CODES, MpfError, type MpfErrorCode, unwrapKeys } from '#mpf'
import { b64, sha256 } from '../fakes/mpf-bytes.ts'
import { CASES, type Case, payloadOf } from '../fakes/mpf-cases.ts'
import { forge } from '../fakes/mpf-forge.ts'
import { BLOCKS } from '../fakes/mpf-forge-program.ts'
import { mirrorSignature, P384_ORDER } from '../fakes/mpf-forge-signed.ts'
import {
  createUnwrapMemo,
  ENTRY_POINTS,
  type EntryPoint,
  inspectFile,
  reader,
  source,
  unlockFile,
} from '../fakes/mpf-reader.ts'
import { trustBundle } from '../fakes/mpf-world.ts'

/** Codes no file can provoke, with the reason. */
const NOT_RAISED_BY_A_FILE: Partial<Record<MpfErrorCode, string>> = {
  MPF_IO: 'raised by the source of the bytes; tested with a source that fails',
  MPF_STATE: 'of whoever records prints: JOURNAL_WRITE in the core',
  MPF_CHANGED_MEDIA: 'raised where a print re-reads the medium, outside mpf',
}

const memo = createUnwrapMemo()

/** `opens`, or the code of the refusal; anything else that is thrown goes on. */
async function outcome(bytes: Uint8Array, entryPoint: EntryPoint, of: Case): Promise<string> {
  try {
    const unwrap = of.reader.printer ? unwrapKeys : memo
    await ENTRY_POINTS[entryPoint](source(bytes), reader({ unwrap, ...of.reader }))
    return 'opens'
  } catch (error) {
    if (error instanceof MpfError) return error.code
    throw error
  }
}

test('the file every case is made from opens through every way in', async t => {
  const file = forge()
  for (const [name, open] of Object.entries(ENTRY_POINTS)) {
    const result = await open(source(file), reader())
    if (Buffer.isBuffer(result)) t.equal(result.toString('latin1'), BLOCKS.join(''), name)
  }
})

test('every code a file can provoke has a case, and every name is its own', async t => {
  const covered = new Set(CASES.map(({ code }) => code))
  for (const code of MPF_ERROR_CODES)
    t.equal(covered.has(code), NOT_RAISED_BY_A_FILE[code] === undefined, code)
  t.equal(new Set(CASES.map(({ name }) => name)).size, CASES.length)
  t.ok(CASES.length >= 150, `${CASES.length} cases`)
})

for (const code of new Set(CASES.map(each => each.code)))
  test(`${code}: each of its files is refused with it, wherever the flaw is met`, async t => {
    for (const each of CASES.filter(({ code: own }) => own === code)) {
      const file = each.file()
      for (const entryPoint of Object.keys(ENTRY_POINTS) as EntryPoint[]) {
        const expected = each.passes.includes(entryPoint) ? 'opens' : code
        t.equal(await outcome(file, entryPoint, each), expected, `${each.name} by ${entryPoint}`)
      }
    }
  })

test('a signature mirrored by anybody is the same file: it escapes no revocation and voids no grant', async t => {
  const mirrored = forge({
    publisher: 'publisher384',
    manifestJws: jws => {
      const [header, payload, signature = ''] = jws.split('.')
      const other = mirrorSignature(Buffer.from(signature, 'base64url'), P384_ORDER)
      return `${header}.${payload}.${b64(other)}`
    },
  })
  const { manifest } = await unlockFile(source(mirrored), reader())
  t.equal(manifest.digest, b64(sha256(payloadOf(mirrored))))
  const trust = trustBundle({ revoked: { manifests: [manifest.digest], grants: [] } })
  await t.rejects(inspectFile(source(mirrored), reader({ trust })), { code: 'MPF_REVOKED' })
})

test('a source that fails is refused as such', async t => {
  const file = source(forge())
  const failing = {
    sizeBytes: file.sizeBytes,
    read: (offset: number, length: number) =>
      offset === 0 ? file.read(offset, length) : file.read(file.sizeBytes, length),
  }
  for (const open of Object.values(ENTRY_POINTS))
    await t.rejects(async () => open(failing, reader()), { code: 'MPF_IO' })
})
