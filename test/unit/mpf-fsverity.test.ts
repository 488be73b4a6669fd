/** The hash tree is Linux fs-verity, so that a tool we did not write can contradict us. */
import { execFileSync } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'tap'
import { MpfError } from '#mpf'
import { buildTree, createBlockHash, openTree, treeBytes } from '../../mpf/fsverity.ts'
import { buildVerity } from '../fakes/mpf-forge-cipher.ts'
import { createRandom } from '../fakes/mpf-samples.ts'

const SALTS = [Buffer.alloc(0), Buffer.from('00ff10', 'hex'), Buffer.alloc(32, 0xa5)]

function dataOf(bytes: number): Buffer {
  const random = createRandom(bytes)
  return Buffer.alloc(bytes, Buffer.from(Array.from({ length: 997 }, () => random(256))))
}

function ours(data: Buffer, blockBytes: number, salt: Uint8Array) {
  const parameters = { blockBytes, salt, lengthBytes: data.length }
  const hashBlock = createBlockHash(parameters)
  const leaves = Array.from({ length: Math.ceil(data.length / blockBytes) }, (_, i) =>
    hashBlock(data.subarray(i * blockBytes, (i + 1) * blockBytes)),
  )
  return { parameters, ...buildTree(parameters, leaves) }
}

const SALT = 'a5'.repeat(32)
/** Block size, bytes, salt, what `fsverity digest` of fsverity-utils 1.5 printed. */
const KNOWN: readonly (readonly [number, number, string, string])[] = [
  [4096, 1, '', '341f5f5461b68021b6b75583516efe0a39e7091222d3117df01e8942fd8f3a34'],
  [4096, 4095, SALT, 'be2816fa77a2092b67c2c7c29d72f4b92f19e59fbff6aa3dedb5bf25eacfbe94'],
  [4096, 4096, SALT, 'da5a3eb1292c4145ef256d435987071727735368bab99cdd7cf89170d9e94e9c'],
  [4096, 4097, SALT, '2266edde23fdb34834b97ae2200ae1d7cd92303a5024cea61f43c47d9ecf44ea'],
  [4096, 524289, SALT, '0e16b17fd7d24c9cc9f26b45918d646bb61e73745af2dbadc32afc1502175827'],
  [65536, 1, '', 'e5d0739f5dd915241cb3cfbbcc56f0db53d49e3875c3ea0a8089e3680c14284b'],
  [65536, 65535, SALT, '92a9eb25b474a1c603b3e3a685db769f43c206165379493005e105d648f49701'],
  [65536, 65536, SALT, '00f85eb9a6bb437bdf08cd29a04f44d8a006d67b5eff7e17cc6b9068bd1b29b5'],
  [65536, 65537, SALT, '5dd126929b8098b8b6b6c7a224d599512f421714a48ee79930227c410484297a'],
  [65536, 8388609, SALT, '975c88d1858341ed05c35d21ff61324136607d0f6b5bda99c1ea91b3480141a9'],
]

const SIZES = (block: number) => [1, block - 1, block, block + 1, 128 * block + 1]

test('gives the digests the fsverity tool gave', async t => {
  for (const [blockBytes, bytes, saltHex, expected] of KNOWN) {
    const { digest } = ours(dataOf(bytes), blockBytes, Buffer.from(saltHex, 'hex'))
    t.equal(
      Buffer.from(digest).toString('hex'),
      expected,
      `${bytes} bytes in blocks of ${blockBytes}`,
    )
  }
})

test('agrees with the fsverity tool where it is installed', async t => {
  let isInstalled = true
  try {
    execFileSync('fsverity', ['--version'], { stdio: 'ignore' })
  } catch {
    isInstalled = false
  }
  if (!isInstalled) {
    t.comment('fsverity is not installed: the known answers above stand alone')
    return
  }
  const file = join(t.testdir(), 'data')
  let compared = 0
  for (const blockBytes of [4096, 65536])
    for (const bytes of SIZES(blockBytes)) {
      const data = dataOf(bytes)
      await writeFile(file, data)
      for (const salt of SALTS) {
        const options = ['--hash-alg=sha256', `--block-size=${blockBytes}`]
        if (salt.length > 0) options.push(`--salt=${salt.toString('hex')}`)
        const output = execFileSync('fsverity', ['digest', '--compact', ...options, file])
        const digest = Buffer.from(ours(data, blockBytes, salt).digest).toString('hex')
        t.equal(output.toString().trim(), digest, `${bytes} in ${blockBytes}, salt ${salt.length}`)
        compared++
      }
    }
  t.equal(compared, 30)
})

test('agrees with a second implementation, tree and digest', async t => {
  for (const bytes of [0, ...SIZES(4096)])
    for (const salt of SALTS) {
      const { tree, digest, parameters } = ours(dataOf(bytes), 4096, salt)
      const second = buildVerity(dataOf(bytes), 4096, salt)
      t.equal(Buffer.compare(tree, second.tree), 0)
      t.equal(Buffer.compare(digest, second.digest), 0)
      t.equal(treeBytes(parameters), tree.length)
    }
})

test('every byte of a tree of three levels leads to the digest', async t => {
  const blockBytes = 4096
  const data = dataOf(130 * blockBytes)
  const { parameters, tree, digest } = ours(data, blockBytes, Buffer.alloc(32, 1))
  t.equal(tree.length, 3 * blockBytes)
  const read = (bytes: Uint8Array) => async (offset: number, length: number) =>
    bytes.subarray(offset, offset + length)
  const good = await openTree(parameters, digest, read(tree))
  for (const i of [0, 127, 128, 129]) {
    await good.load(i)
    good.expectBlock(i, data.subarray(i * blockBytes, (i + 1) * blockBytes))
  }
  t.throws(() => good.expectBlock(0, data.subarray(0, blockBytes)), { code: 'MPF_TREE' })
  for (let at = 0; at < tree.length; at += 61) {
    const changed = Buffer.from(tree)
    changed[at] = (changed[at] ?? 0) ^ 0x10
    const loadAll = async () => {
      const opened = await openTree(parameters, digest, read(changed))
      await opened.load(0)
      await opened.load(128)
    }
    const error = await loadAll().catch((thrown: unknown) => thrown)
    if (!(error instanceof MpfError && error.code === 'MPF_TREE')) t.fail(`byte ${at} accepted`)
  }
})

test('bytes behind the last hash of any level are zero, whatever was signed', async t => {
  const data = dataOf(130 * 4096)
  const salt = Buffer.alloc(32, 1)
  const parameters = { blockBytes: 4096, salt, lengthBytes: data.length }
  /** Behind two hashes of the root level, two hashes of the second leaf block. */
  for (const [level, at] of [
    [0, 64],
    [0, 4095],
    [1, 4096 + 64],
    [1, 2 * 4096 - 1],
  ] as const) {
    const { tree, digest } = buildVerity(data, 4096, salt, bytes => {
      if (bytes.length === (level + 1) * 4096) bytes[at] = 1
      return bytes
    })
    const open = async () => {
      const opened = await openTree(parameters, digest, async (offset, length) =>
        tree.subarray(offset, offset + length),
      )
      await opened.load(129)
    }
    await t.rejects(open(), { code: 'MPF_TREE', message: /padding/ }, `level ${level}, byte ${at}`)
  }
})

test('a block in another block’s place is refused', async t => {
  const data = dataOf(3 * 4096)
  const { parameters, tree, digest } = ours(data, 4096, Buffer.alloc(0))
  const opened = await openTree(parameters, digest, async (offset, length) =>
    tree.subarray(offset, offset + length),
  )
  t.throws(() => opened.expectBlock(1, data.subarray(0, 4096)), { code: 'MPF_SEG_HASH' })
  t.throws(() => opened.expectBlock(0, data.subarray(0, 4095)), { code: 'MPF_SEG_HASH' })
})

test('the only block is checked against the digest itself', async t => {
  const data = dataOf(100)
  const { parameters, digest } = ours(data, 4096, Buffer.alloc(3, 3))
  const opened = await openTree(parameters, digest, async () => new Uint8Array())
  opened.expectBlock(0, data)
  t.throws(() => opened.expectBlock(0, Buffer.concat([data, Buffer.of(1)])), { code: 'MPF_TREE' })
  t.throws(() => opened.expectBlock(1, data), { code: 'MPF_TREE' })
})
