/** Ciphertext in waiting is readable by its descriptor alone; a file that is written is whole or not there. */
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'tap'
import { fileStore, writeWhole } from '../../firmware/mpf/files.ts'

test('the body in waiting has no name: a killed seal leaves nothing behind', async t => {
  const directory = await mkdtemp(join(tmpdir(), 'mpfd-files-'))
  const before = process.env.TMPDIR
  process.env.TMPDIR = directory
  t.teardown(async () => {
    if (before === undefined) delete process.env.TMPDIR
    else process.env.TMPDIR = before
    await rm(directory, { recursive: true, force: true })
  })
  await using store = await fileStore()
  t.same(await readdir(directory), [])
  const segments = [Buffer.alloc(65_536, 1), Buffer.from('last')]
  for (const segment of segments) await store.append(segment)
  const kept: Uint8Array[] = []
  for await (const segment of store.read()) kept.push(segment)
  t.same(kept, segments)
})

test('what cannot be written to its end leaves the old file and nothing else', async t => {
  const directory = t.testdir({ 'part.mpf': 'old' })
  const path = join(directory, 'part.mpf')
  function* breaking() {
    yield Buffer.from('new')
    throw new Error('no space left')
  }
  await t.rejects(writeWhole(path, breaking()), { code: 'TOOL_FILE' })
  t.same(await readdir(directory), ['part.mpf'])
  t.equal(await readFile(path, 'utf8'), 'old')
  t.equal(await writeWhole(path, [Buffer.from('new')]), 3)
  t.equal(await readFile(path, 'utf8'), 'new')
})
