/** Rows M1 to M4: the format, reading and seeking, beside age, gpg, zstd and its own native parts. */

import { createCipheriv, createHash, randomBytes } from 'node:crypto'
import { readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { zstdDecompressSync } from 'node:zlib'
import { createProgramCheck, openAtLine, openBody, openMeta } from '#mpf'
import { sharedPath } from '../test/shared.ts'
import { runCpu, toolPath } from './peers.ts'
import { type BenchContext, type BenchPart, cpuSeconds, median, quantile, type Row } from './row.ts'
import { openSealedFile, type SealedBench, sealForBench } from './sealed.ts'

const MB = 1e6
/** What the figures of the pipeline and the seek are taken on; a part of our own where the shared one is absent. */
const PROGRAM = 'gcode/vase.gcode.zst'
const SEEKS = 200

export const mpfBench: BenchPart = { name: 'mpf', rows: mpfRows }

async function* mpfRows(context: BenchContext): AsyncGenerator<Row, void, void> {
  const text = await programText()
  context.say(`sealing ${(text.length / MB).toFixed(0)} MB of G-code at zstd level 19`)
  const sealed = await sealForBench(text, 19, join(context.directory, 'part.mpf'))
  yield await admission(context, text, sealed)
  yield await cryptoOnly(context)
  yield await seeking(sealed)
  yield await size(context, text, sealed)
}

async function programText(): Promise<Buffer> {
  const path = sharedPath(PROGRAM)
  if (path !== undefined) return zstdDecompressSync(await readFile(path))
  const sample = await readFile(new URL('../test/samples/clip.gcode', import.meta.url))
  return Buffer.concat(Array.from({ length: 100 }, () => sample))
}

/** M1: verify, decrypt, unzip, grammar, envelope, modal; against what the native parts alone cost in this run. */
async function admission(context: BenchContext, text: Buffer, sealed: SealedBench): Promise<Row> {
  const megabytes = text.length / MB
  const ours: number[] = []
  for (let run = 0; run <= context.runs; run++) {
    const seconds = await cpuSeconds(() => preflight(sealed))
    if (run > 0) ours.push(megabytes / seconds)
  }
  const limit = await nativeLimit(text, sealed)
  const rate = median(ours)
  return {
    id: 'M1',
    what: 'admission of the program: verify, decrypt, unzip, lint, envelope, modal; one thread',
    peer: 'the native parts alone (SHA-256, AES-GCM, zstd)',
    ratio: rate / limit,
    figure: `${rate.toFixed(0)} MB/s of G-code by CPU time, native parts alone ${limit.toFixed(0)} MB/s`,
    owed: '>= 150 MB/s',
    isMet: rate >= 150,
  }
}

async function preflight(sealed: SealedBench): Promise<void> {
  await using file = await openSealedFile(sealed)
  const { container, manifest, keys } = file
  const meta = await openMeta(container, manifest, keys)
  const check = createProgramCheck(
    manifest.payload.pol,
    meta.index,
    manifest.payload.enc.body.lines,
  )
  for await (const block of openBody(container, manifest, keys, meta.index)) {
    check.check(block)
    block.text.fill(0)
  }
  check.end()
}

/** MB/s of text if only SHA-256 of the ciphertext, AES-GCM and zstd cost anything, in Node's own native code. */
async function nativeLimit(text: Buffer, sealed: SealedBench): Promise<number> {
  const cipher = await readFile(sealed.path)
  const segment = cipher.subarray(0, 65_536)
  const segments = Math.ceil(cipher.length / segment.length)
  const key = randomBytes(32)
  const seconds = await cpuSeconds(async () => {
    for (let i = 0; i < segments; i++) {
      createHash('sha256').update(segment).digest()
      const gcm = createCipheriv('aes-256-gcm', key, randomBytes(12), { authTagLength: 16 })
      gcm.update(segment)
      gcm.final()
    }
    await using file = await openSealedFile(sealed)
    for (const frame of await file.frames())
      zstdDecompressSync(frame, { maxOutputLength: 1_048_576 })
  })
  return text.length / MB / seconds
}

/** M2: verify and decrypt only, whole processes, against age and gpg on the same number of bytes. */
async function cryptoOnly(context: BenchContext): Promise<Row> {
  const bytes = 512 * 1_048_576
  const plain = join(context.directory, 'random')
  await writeFile(plain, randomBytes(bytes))
  const program = new URL('./floe-process.ts', import.meta.url).pathname
  // As mpfd runs: a small young generation, which is also the faster one here, and compiled code kept.
  const args = ['--max-semi-space-size=1', program]
  const env = { NODE_COMPILE_CACHE: join(context.directory, 'compiled') }
  const floe = (mode: string) =>
    runCpu(process.execPath, [...args, mode, plain, `${plain}.floe`], env)
  await floe('seal')
  const age = await agePeer(context, plain)
  const [withLeaves, without, peer]: [number[], number[], number[]] = [[], [], []]
  for (let run = 0; run < context.runs; run++) {
    withLeaves.push((await floe('open')).cpuS)
    without.push((await floe('open-without-leaves')).cpuS)
    if (age) peer.push((await age()).cpuS)
  }
  const rate = (cpuS: readonly number[]) => bytes / 1e9 / median(cpuS)
  const figure = `with leaf hashes ${rate(withLeaves).toFixed(2)} GB/s, without ${rate(without).toFixed(2)} GB/s by CPU time of whole processes`
  if (!age)
    return {
      id: 'M2',
      what: 'verify and decrypt only',
      peer: 'age -d (not installed)',
      ratio: undefined,
      figure,
      owed: '>= 1x age with leaves, 2x without',
      isMet: undefined,
    }
  const ratio = median(peer) / median(withLeaves)
  const ratioWithout = median(peer) / median(without)
  return {
    id: 'M2',
    what: 'verify and decrypt only, 512 MiB',
    peer: 'age -d',
    ratio,
    figure: `${figure}, age ${rate(peer).toFixed(2)} GB/s; without leaves ${ratioWithout.toFixed(2)}x`,
    owed: '>= 1x age with leaves, 2x without',
    isMet: ratio >= 1 && ratioWithout >= 2,
  }
}

async function agePeer(
  context: BenchContext,
  plain: string,
): Promise<(() => ReturnType<typeof runCpu>) | undefined> {
  const [age, keygen] = [toolPath('age'), toolPath('age-keygen')]
  if (!age || !keygen) return undefined
  const identity = join(context.directory, 'age.key')
  await runCpu(keygen, ['-o', identity])
  const [, recipient = ''] = /public key: (\S+)/.exec(await readFile(identity, 'utf8')) ?? []
  await runCpu(age, ['-r', recipient, '-o', `${plain}.age`, plain])
  return () => runCpu(age, ['-d', '-i', identity, '-o', '/dev/null', `${plain}.age`])
}

/** M3: from a closed stream to the text at a random line. */
async function seeking(sealed: SealedBench): Promise<Row> {
  await using file = await openSealedFile(sealed)
  const { container, manifest, keys } = file
  const meta = await openMeta(container, manifest, keys)
  const { lines } = manifest.payload.enc.body
  const times: number[] = []
  for (let i = 0; i < SEEKS; i++) {
    const line = 1 + Math.floor(Math.random() * lines)
    const startMs = performance.now()
    await openAtLine(container, manifest, keys, meta.index, line)
    times.push(performance.now() - startMs)
  }
  const [p50, p95] = [quantile(times, 0.5), quantile(times, 0.95)]
  return {
    id: 'M3',
    what: `seek to a random line of ${lines}, ${SEEKS} seeks`,
    peer: 'none',
    ratio: undefined,
    figure: `p50 ${p50.toFixed(1)} ms, p95 ${p95.toFixed(1)} ms`,
    owed: '5 / 15 ms',
    isMet: p50 <= 5 && p95 <= 15,
  }
}

/** M4: what sealing adds to the size of the text compressed as a whole. */
async function size(context: BenchContext, text: Buffer, sealed: SealedBench): Promise<Row> {
  const zstd = toolPath('zstd')
  const plain = join(context.directory, 'part.gcode')
  const ours = (await stat(sealed.path)).size
  const row = { id: 'M4', what: 'sealed size', owed: '<= 1.05x' } as const
  if (!zstd)
    return {
      ...row,
      peer: 'zstd -19 (not installed)',
      ratio: undefined,
      figure: `${ours} bytes`,
      isMet: undefined,
    }
  await writeFile(plain, text)
  await runCpu(zstd, ['-19', '-q', '-f', plain, '-o', `${plain}.zst`])
  const theirs = (await stat(`${plain}.zst`)).size
  return {
    ...row,
    peer: 'zstd -19 of the text',
    ratio: ours / theirs,
    figure: `${ours} of ${theirs} bytes`,
    isMet: ours / theirs <= 1.05,
  }
}
