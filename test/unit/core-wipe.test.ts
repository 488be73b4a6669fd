/** Keys at rest and their end: wrapped on first start, destroyed by a wipe whenever it is cut off, made anew by `reuse`. */
import { execFile } from 'node:child_process'
import { createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto'
import { mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { type Test, test } from 'tap'
import { keyId } from '#mpf'
import { CommandLedger } from '../../firmware/core/commands/ledger.ts'
import { createVerbs, expectStartAllowed } from '../../firmware/core/commands/verbs.ts'
import { finishWipe, wipe } from '../../firmware/core/commands/wipe.ts'
import { Journal } from '../../firmware/core/journal/journal.ts'
import { openKeyEncryptionKey } from '../../firmware/core/key-encryption.ts'
import { type PrinterKeyFiles, PrinterKeys } from '../../firmware/core/printer-keys.ts'
import { Settings } from '../../firmware/core/settings.ts'
import { Spool } from '../../firmware/core/spool.ts'
import { deskPrinter } from '../fakes/core-printer.ts'

const run = promisify(execFile)
const AT_MS = Date.UTC(2026, 10, 22)

/** The secret number itself, as it would lie on a disk: raw in DER, and each base64 line of a PEM. */
function scalarOf(key: KeyObject): Buffer {
  return Buffer.from(key.export({ format: 'jwk' }).d ?? '', 'base64url')
}

async function install(directory: string): Promise<{ key: KeyObject; files: PrinterKeyFiles }> {
  await mkdir(join(directory, 'spool'), { recursive: true })
  await mkdir(join(directory, 'grants'), { recursive: true })
  const { privateKey: key } = generateKeyPairSync('ec', { namedCurve: 'P-384' })
  const printerKeyFile = join(directory, 'printer-key.pem')
  const pem = key.export({ type: 'pkcs8', format: 'pem' })
  await writeFile(printerKeyFile, pem, { mode: 0o600, flush: true })
  return { key, files: { printerKeyFile, kekFile: join(directory, 'kek') } }
}

async function desk(t: Test, directory: string, files: PrinterKeyFiles) {
  const stamp = () => ({ atMs: AT_MS, quality: 'rtc' as const })
  const journal = new Journal({ path: join(directory, 'journal.sqlite'), stamp })
  const ledger = new CommandLedger(join(directory, 'commands.sqlite'))
  const limits = { maxBytes: 1 << 20, maxFileBytes: 1 << 20, reserveBytes: 0 }
  const spool = await Spool.open(join(directory, 'spool'), limits)
  const open = () => PrinterKeys.open(files, { journal, isWiped: ledger.isSet('wiped') })
  let isClosed = false
  const close = () => {
    if (!isClosed) {
      ledger[Symbol.dispose]()
      journal[Symbol.dispose]()
    }
    isClosed = true
  }
  t.teardown(close)
  const directories = [join(directory, 'grants')]
  return { journal, ledger, spool, open, close, directories, types: () => typesOf(journal) }
}

function typesOf(journal: Journal): readonly string[] {
  return journal.events(0, 99).map(({ type }) => type)
}

test('a key installed in the clear is wrapped once, opens afterwards, and its plain file is overwritten', async t => {
  const directory = t.testdir()
  const { key, files } = await install(directory)
  const { inode, size } = await stat(files.printerKeyFile).then(({ ino, size }) => ({
    inode: ino,
    size,
  }))
  const { open, types } = await desk(t, directory, files)
  using first = await open()
  t.equal(keyId(first.printerKey), keyId(key))
  t.match(JSON.parse(await readFile(files.printerKeyFile, 'utf8')), { alg: 'A256KWP' })
  const after = await stat(files.printerKeyFile)
  t.ok(after.ino !== inode && after.size !== size, 'another file')
  t.equal(after.mode & 0o777, 0o600)
  t.notOk((await readdir(directory)).some(name => name.endsWith('.plain')))
  using second = await open()
  t.equal(keyId(second.printerKey), keyId(key))
  t.same(types(), ['key.wrapped'])
})

test('a wrapping that was cut off between its steps is finished or begun again', async t => {
  const directory = t.testdir()
  const { key, files } = await install(directory)
  const plain = await readFile(files.printerKeyFile)
  const { open } = await desk(t, directory, files)
  await writeFile(`${files.printerKeyFile}.plain`, plain)
  using begunAgain = await open()
  t.equal(keyId(begunAgain.printerKey), keyId(key), 'cut off before the wrapped file')
  await writeFile(`${files.printerKeyFile}.plain`, plain)
  using finished = await open()
  t.equal(keyId(finished.printerKey), keyId(key), 'cut off after it')
  t.notOk((await readdir(directory)).some(name => name.endsWith('.plain')))
})

test('a wrapped key opens with its own key-encryption key only, and only unchanged', async t => {
  const directory = t.testdir()
  const credential = join(directory, 'mpfd.kek')
  await writeFile(credential, Buffer.alloc(32, 9))
  using kek = await openKeyEncryptionKey(join(directory, 'kek'), credential)
  using same = await openKeyEncryptionKey(join(directory, 'kek'), credential)
  using without = await openKeyEncryptionKey(join(directory, 'kek'))
  const secret = Buffer.from('a secret of 19 byte')
  const wrapped = kek.wrap(secret)
  t.same(same.unwrap(wrapped), secret)
  t.equal(same.id, kek.id)
  t.not(without.id, kek.id)
  t.throws(() => without.unwrap(wrapped), { code: 'KEYS_UNREADABLE' })
  for (let at = 0; at < wrapped.length; at += 1) {
    const changed = Buffer.from(wrapped)
    changed.writeUInt8(changed.readUInt8(at) ^ 1, at)
    t.throws(() => kek.unwrap(changed), { code: 'KEYS_UNREADABLE' }, `byte ${at}`)
  }
  await writeFile(join(directory, 'open'), Buffer.alloc(4096), { mode: 0o644 })
  await t.rejects(openKeyEncryptionKey(join(directory, 'open')), { code: 'KEYS_MODE' })
  await writeFile(join(directory, 'short'), Buffer.alloc(4095), { mode: 0o600 })
  await t.rejects(openKeyEncryptionKey(join(directory, 'short')), { code: 'KEYS_UNREADABLE' })
})

test('a wipe destroys the keys, removes what they open and names what is gone', async t => {
  const directory = t.testdir()
  const { key, files } = await install(directory)
  const on = await desk(t, directory, files)
  using keys = await on.open()
  await writeFile(on.spool.pathOf('aa'), 'ciphertext')
  await writeFile(join(directory, 'spool', 'stray.tmp'), 'ciphertext')
  await writeFile(join(directory, 'grants', 'g.mpfg'), 'wrapped keys')
  const message = await wipe({ ...on, keys })
  t.match(message, new RegExp(`^key ${keyId(key)} and key-encryption key [0-9a-f]{16} destroyed`))
  t.match(message, /2 files removed/)
  const left = await readdir(directory)
  t.notOk(left.includes('kek') || left.includes('printer-key.pem'))
  t.same(await readdir(join(directory, 'spool')), [])
  t.same(await readdir(join(directory, 'grants')), [])
  t.same(on.types(), ['key.wrapped', 'key.destroyed', 'printer.wiped'])
  t.throws(() => expectStartAllowed(on.ledger), { code: 'PRINTER_RETIRED' })
  t.ok(keys.isEmpty)
  t.not(keyId(keys.printerKey), keyId(key))
})

test('a wipe that was cut off after any step is finished at the next start, and only once', async t => {
  for (const gone of [[], ['kek'], ['kek', 'printer-key.pem']]) {
    const directory = t.testdir()
    const { files } = await install(directory)
    const on = await desk(t, directory, files)
    using _ = await on.open()
    await writeFile(on.spool.pathOf('aa'), 'ciphertext')
    on.ledger.set('wiped', true)
    on.ledger.set('wiping', true)
    for (const name of gone) await rm(join(directory, name))
    const parts = { ...on, keyFiles: files, directories: [join(directory, 'spool')] }
    await finishWipe(parts)
    const left = await readdir(directory)
    t.notOk(left.includes('kek') || left.includes('printer-key.pem'), `without ${gone.join(', ')}`)
    t.same(await readdir(join(directory, 'spool')), [])
    await writeFile(files.printerKeyFile, 'a new key')
    await finishWipe(parts)
    t.ok((await readdir(directory)).includes('printer-key.pem'), 'a key installed afterwards stays')
    on.close()
  }
})

test('a wiped printer opens without a key; reuse makes it one that the fleet end can seal for', async t => {
  const directory = t.testdir()
  const { key, files } = await install(directory)
  const on = await desk(t, directory, files)
  {
    using keys = await on.open()
    await wipe({ ...on, keys })
  }
  using keys = await on.open()
  t.ok(keys.isEmpty)
  const engine = { isBusy: false } as Parameters<typeof createVerbs>[0]['engine']
  await using printer = await deskPrinter()
  const settings = new Settings(printer.config, on.ledger, undefined)
  const { signal } = new AbortController()
  const { reuse } = createVerbs({ ...on, engine, keys, settings, signal })
  const { message } = await reuse({})
  const [, spki = ''] = /new key (\S+)$/.exec(message) ?? []
  const made = createPublicKey({ key: Buffer.from(spki, 'base64'), format: 'der', type: 'spki' })
  t.equal(keyId(made), keyId(keys.printerKey))
  t.not(keyId(made), keyId(key))
  t.doesNotThrow(() => expectStartAllowed(on.ledger))
  using next = await on.open()
  t.equal(keyId(next.printerKey), keyId(made), 'also after a restart')
  t.equal((await reuse({})).message, 'in service', 'and only once')
})

test('a printer that was not wiped does not start without its key', async t => {
  const directory = t.testdir()
  const { files } = await install(directory)
  await rm(files.printerKeyFile)
  const { open } = await desk(t, directory, files)
  await t.rejects(open(), { code: 'KEYS_UNREADABLE' })
})

test('after a wipe the raw image of the file system holds no part of a key', async t => {
  if (process.getuid?.() !== 0) return t.comment('not tried: only root may mount an image')
  const image = join(t.testdir(), 'disk.img')
  const mount = join(t.testdir({ mount: {} }), 'mount')
  await writeFile(image, Buffer.alloc(0))
  await run('truncate', ['-s', '16M', image])
  try {
    await run('mkfs.ext4', ['-q', image])
    await run('mount', ['-o', 'loop', image, mount])
  } catch {
    return t.comment('not tried: no loop-mounted ext4 here')
  }
  try {
    const { key, files } = await install(mount)
    const secrets = (share: Buffer) => [
      scalarOf(key).toString('latin1'),
      ...key
        .export({ type: 'pkcs8', format: 'pem' })
        .toString()
        .split('\n')
        .filter(line => line.length > 30)
        // The first line of a PKCS#8 key is mostly its algorithm; the scalar begins in it.
        .map(line => line.slice(-24)),
      share.subarray(0, 64).toString('latin1'),
    ]
    const holds = async (share: Buffer) => {
      await run('sync', ['-f', mount])
      const raw = (await readFile(image)).toString('latin1')
      return secrets(share).filter(secret => raw.includes(secret)).length
    }
    t.ok((await holds(Buffer.alloc(64, 1))) > 0, 'the search finds a key that is installed')
    const on = await desk(t, mount, files)
    using keys = await on.open()
    const share = await readFile(files.kekFile)
    t.equal(await holds(share), 1, 'of a running printer only the share of the key-encryption key')
    await wipe({ ...on, keys })
    t.equal(await holds(share), 0)
    on.close()
  } finally {
    await run('umount', ['-l', mount])
  }
})
