/** Row W1: what a connected printer writes to its flash, counted where the flash would: at the block device under an ext4. */

import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { zstdDecompressSync } from 'node:zlib'
import { type Fleet, fleet } from '../test/fakes/cloud-bench.ts'
import { startCourierProcess, startIngestProcess } from '../test/fakes/link-processes.ts'
import { sharedPath } from '../test/shared.ts'
import { ConnectedPrinter } from './connected-printer.ts'
import type { BenchContext, Row } from './row.ts'

const SERIAL = 'P-1'
/** As docs/configuration.md has it mounted. */
const MOUNT_OPTIONS = 'loop,noatime,commit=60'
const IMAGE_BYTES = 512 << 20
const SECTOR_BYTES = 512
const MB = 1e6
const [HOUR_S, DAY_S] = [3600, 86_400]
/** What a start writes is written, and no telemetry is there yet. */
const SETTLING_S = 30
/** The first batch of telemetry, and the numbers set aside for it and those after it. */
const BATCH_S = 60
const BATCHES_A_RESERVE = 64
const WINDOW_S = 180
const OWED_MB = 5
/** A print that outlasts the window at the machine's own pace. */
const LONG_PROGRAM = 'gcode/bracket.gcode.zst'
const OWN_PROGRAM = join(import.meta.dirname, '../test/samples/clip.gcode')

export async function* wearRows({ directory, programs, say }: BenchContext): AsyncGenerator<Row> {
  await using on = await fleet('mosquitto')
  using flash = mounted(on, directory)
  if (!flash) {
    say('wear: no ext4 can be loop-mounted here (root only): row W1 is not measured')
    return
  }
  // 1 Hz, a batch a minute: CLOUD 3.2.
  const cloud = { sampleIntervalMs: 1000, batchSamples: BATCH_S }
  const place = { speed: 1, baud: 250_000, cloud, programs }
  await using printing = await ConnectedPrinter.start(on, place)
  await using _ingest = startIngestProcess(on)
  const run = { RUNTIME_DIRECTORY: join(directory, 'run') }
  mkdirSync(run.RUNTIME_DIRECTORY)
  await using _courier = startCourierProcess(printing.desk, programs, run)
  await sleep(SETTLING_S * 1000)
  const reserveMb = await flash.writtenMb(() => sleep(BATCH_S * 1000))
  const idleMb = await flash.writtenMb(() => sleep(WINDOW_S * 1000))
  say(
    `W1: ${reserveMb.toFixed(3)} MB until the first batch, ${idleMb.toFixed(3)} MB in ${WINDOW_S} s`,
  )
  const gcode = join(directory, 'wear.gcode')
  const shared = sharedPath(LONG_PROGRAM)
  const program = shared
    ? zstdDecompressSync(await readFile(shared))
    : Buffer.concat(Array.from({ length: 20 }, () => readFileSync(OWN_PROGRAM)))
  await writeFile(gcode, program)
  const startMb = await flash.writtenMb(() => printing.print(gcode))
  const printMb = await flash.writtenMb(() => sleep(WINDOW_S * 1000))
  say(`W1: ${startMb.toFixed(3)} MB to start, ${printMb.toFixed(3)} MB in ${WINDOW_S} s of print`)
  const scaled = (mb: number, seconds: number) =>
    (mb * seconds) / WINDOW_S + (reserveMb * seconds) / (BATCH_S * BATCHES_A_RESERVE)
  const [hourMb, dayMb] = [scaled(printMb, HOUR_S), scaled(idleMb, DAY_S)]
  yield {
    id: 'W1',
    what: 'written to flash by core and courier, telemetry at 1 Hz, the spooled file aside',
    peer: 'none',
    ratio: undefined,
    figure: `${hourMb.toFixed(2)} MB a printed hour, ${dayMb.toFixed(2)} MB an idle day`,
    owed: `<= ${OWED_MB} MB each`,
    isMet: hourMb <= OWED_MB && dayMb <= OWED_MB,
    note: `sectors of the block device under an ext4 mounted ${MOUNT_OPTIONS}, synced at both ends of ${WINDOW_S} s each; the minute in which numbers are set aside (${reserveMb.toFixed(3)} MB) counts once in ${BATCHES_A_RESERVE}; the start, with the sealed file twice (stick and spool): ${startMb.toFixed(2)} MB`,
  }
}

interface Flash extends Disposable {
  /** What reached the device from now until `body` has ended, everything that was dirty before and after it flushed. */
  writtenMb(body: () => Promise<unknown>): Promise<number>
}

/** A file system of its own where the printer's files will be; undefined where none can be mounted. */
function mounted(on: Fleet, directory: string): Flash | undefined {
  const image = join(directory, 'flash.img')
  const place = join(on.directory, SERIAL)
  mkdirSync(place)
  writeFileSync(image, '')
  try {
    execFileSync('truncate', ['-s', String(IMAGE_BYTES), image])
    execFileSync('mkfs.ext4', ['-q', image])
    execFileSync('mount', ['-o', MOUNT_OPTIONS, image, place])
  } catch {
    return undefined
  }
  const device = execFileSync('findmnt', ['-no', 'SOURCE', place], { encoding: 'utf8' }).trim()
  const sectors = () => {
    execFileSync('sync', ['-f', place])
    const stat = readFileSync(`/sys/block/${basename(device)}/stat`, 'latin1')
      .trim()
      .split(/\s+/)
    return Number(stat[6])
  }
  return {
    async writtenMb(body) {
      const before = sectors()
      await body()
      return ((sectors() - before) * SECTOR_BYTES) / MB
    },
    [Symbol.dispose]: () => void execFileSync('umount', ['-l', place]),
  }
}
