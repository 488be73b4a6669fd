import { execFileSync } from 'node:child_process'
import {
  chmod,
  readdir,
  readFile,
  stat,
  symlink,
  truncate,
  unlink,
  writeFile,
} from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { writeFileAtomically } from '#lib/atomic-file.ts'
import { openFileSource } from '#lib/file-source.ts'

const fault = (message: string) => new RangeError(message)

t.test('replaces a file whole, with its mode, and leaves nothing beside it', async t => {
  const directory = t.testdir({ file: 'old' })
  const path = join(directory, 'file')
  await writeFileAtomically(path, Buffer.from('new'), { mode: 0o600 })
  t.equal(await readFile(path, 'utf8'), 'new')
  t.equal((await stat(path)).mode & 0o777, 0o600)
  t.strictSame(await readdir(directory), ['file'])
})

t.test('keeps the old file when the new one cannot be put in its place', async t => {
  const directory = t.testdir({ target: { inside: 'x' } })
  await t.rejects(
    writeFileAtomically(join(directory, 'target'), Buffer.from('new'), { mode: 0o600 }),
  )
  t.strictSame(await readdir(directory), ['target'])
})

t.test('reads exactly what is asked for, and refuses to read past the end', async t => {
  const path = join(t.testdir({ file: '0123456789' }), 'file')
  await using source = await openFileSource(path, fault)
  t.equal(source.sizeBytes, 10)
  t.equal(Buffer.from(await source.read(3, 4)).toString(), '3456')
  await t.rejects(source.read(8, 3), { message: 'read of 3 bytes at 8 past 10' })
  await t.rejects(source.read(-1, 3), RangeError)
})

t.test('tells when a file was shortened or removed behind its back', async t => {
  const path = join(t.testdir({ file: '0123456789' }), 'file')
  await using source = await openFileSource(path, fault)
  await truncate(path, 4)
  await t.rejects(source.read(2, 4), { message: /the file ends after 2/ })
  t.equal((await source.identify()).sizeBytes, 4)
  await unlink(path)
  t.equal((await source.identify()).isLinked, false)
})

t.test('opens regular files only', async t => {
  const directory = t.testdir({ file: 'x', folder: {} })
  const at = (name: string) => join(directory, name)
  await symlink(at('file'), at('link'))
  execFileSync('mkfifo', [at('fifo')])
  await t.rejects(openFileSource(at('link'), fault), { message: /ELOOP/ })
  await t.rejects(openFileSource(at('fifo'), fault), { message: 'not a regular file' })
  await t.rejects(openFileSource(at('folder'), fault), { message: 'not a regular file' })
  await t.rejects(openFileSource(at('none'), fault), { message: /ENOENT/ })
  await writeFile(at('closed'), 'x')
  await chmod(at('closed'), 0)
  if (process.getuid?.() !== 0)
    await t.rejects(openFileSource(at('closed'), fault), { message: /EACCES/ })
})
