/** Ciphertext in waiting: readable by its descriptor, and nowhere in the file system. */
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'tap'
import { fileStore } from '../../firmware/mpf/files.ts'

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
