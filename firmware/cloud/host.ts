/** The machine's own health, read from /proc and /sys: a quarter of a millisecond, no process spawned (CLOUD 0.6). */

import { readdir, readFile, statfs } from 'node:fs/promises'

export interface HostReading {
  /** Share of all processors since the reading before, 0 to 1. */
  readonly cpuBusy: number | null
  readonly load1m: number | null
  readonly memoryAvailableBytes: number | null
  readonly memoryTotalBytes: number | null
  readonly psiCpu: number | null
  readonly psiMemory: number | null
  readonly psiIo: number | null
  readonly diskFreeBytes: number | null
  readonly diskWrittenBytes: number | null
  readonly emmcWearPercent: number | null
  readonly cpuTempC: number | null
  readonly networkReceivedBytes: number | null
  readonly networkSentBytes: number | null
  readonly networkErrors: number | null
  readonly ownRssBytes: number | null
  readonly ownCpuS: number | null
  readonly uptimeS: number | null
}

/** The kernel counts 512-byte sectors whatever the disk has (Documentation/admin-guide/iostats.rst). */
const SECTOR_BYTES = 512
const WHOLE_DISK = /^(?:sd[a-z]|vd[a-z]|nvme\d+n\d+|mmcblk\d+)$/

export class Host {
  readonly #root: string
  readonly #diskPath: string
  #cpu: { readonly busy: number; readonly total: number } | undefined

  /** `root` holds `proc` and `sys`: '/' but in tests. `diskPath` is on the file system that is watched. */
  constructor(root: string, diskPath: string) {
    this.#root = root
    this.#diskPath = diskPath
  }

  async read(): Promise<HostReading> {
    const [stat, memory, load, uptime, network, disks] = await Promise.all(
      ['stat', 'meminfo', 'loadavg', 'uptime', 'net/dev', 'diskstats'].map(name =>
        this.#text(`proc/${name}`),
      ),
    )
    const disk = await statfs(this.#diskPath).catch(() => undefined)
    const usage = process.resourceUsage()
    return {
      cpuBusy: this.#cpuBusy(stat ?? ''),
      load1m: numberIn(load, /^([\d.]+)/),
      memoryAvailableBytes: kibibytes(memory, 'MemAvailable'),
      memoryTotalBytes: kibibytes(memory, 'MemTotal'),
      psiCpu: await this.#pressure('cpu'),
      psiMemory: await this.#pressure('memory'),
      psiIo: await this.#pressure('io'),
      diskFreeBytes: disk ? disk.bavail * disk.bsize : null,
      diskWrittenBytes: writtenBytes(disks ?? ''),
      emmcWearPercent: await this.#emmcWear(),
      cpuTempC: await this.#cpuTemp(),
      ...networkOf(network ?? ''),
      ownRssBytes: process.memoryUsage.rss(),
      ownCpuS: (usage.userCPUTime + usage.systemCPUTime) / 1e6,
      uptimeS: numberIn(uptime, /^([\d.]+)/),
    }
  }

  async #text(path: string): Promise<string | undefined> {
    return readFile(`${this.#root}${path}`, 'utf8').catch(() => undefined)
  }

  #cpuBusy(stat: string): number | null {
    const fields = /^cpu +(.*)$/m.exec(stat)?.[1]?.split(' ').map(Number) ?? []
    const total = fields.slice(0, 8).reduce((sum, field) => sum + field, 0)
    const busy = total - (fields[3] ?? 0) - (fields[4] ?? 0)
    const before = this.#cpu
    this.#cpu = { busy, total }
    if (!before || total <= before.total) return null
    return (busy - before.busy) / (total - before.total)
  }

  async #pressure(name: string): Promise<number | null> {
    return numberIn(await this.#text(`proc/pressure/${name}`), /^some avg10=([\d.]+)/)
  }

  /** JEDEC eMMC 5.0 life time estimate A: steps of 10 % of wear. */
  async #emmcWear(): Promise<number | null> {
    for (const disk of await readdir(`${this.#root}sys/block`).catch(() => [])) {
      if (!disk.startsWith('mmcblk')) continue
      const step = numberIn(
        await this.#text(`sys/block/${disk}/device/life_time`),
        /^(0x[0-9a-f]+)/,
      )
      if (step !== null) return step * 10
    }
    return null
  }

  async #cpuTemp(): Promise<number | null> {
    const milli = numberIn(await this.#text('sys/class/thermal/thermal_zone0/temp'), /^(\d+)/)
    return milli === null ? null : milli / 1000
  }
}

function numberIn(text: string | undefined, pattern: RegExp): number | null {
  const found = pattern.exec(text ?? '')?.[1]
  return found === undefined ? null : Number(found)
}

function kibibytes(text: string | undefined, name: string): number | null {
  const value = numberIn(text, new RegExp(`^${name}: +(\\d+) kB`, 'm'))
  return value === null ? null : value * 1024
}

function writtenBytes(text: string): number | null {
  const disks = text
    .split('\n')
    .map(line => line.trim().split(/ +/))
    .filter(([, , name]) => name !== undefined && WHOLE_DISK.test(name))
  if (disks.length === 0) return null
  return disks.reduce((sum, fields) => sum + Number(fields[9]) * SECTOR_BYTES, 0)
}

function networkOf(
  text: string,
): Pick<HostReading, 'networkReceivedBytes' | 'networkSentBytes' | 'networkErrors'> {
  const devices = text
    .split('\n')
    .map(line => /^ *([^:]+):(.*)$/.exec(line))
    .filter(found => found !== null && found[1] !== 'lo')
    .map(found => found?.[2]?.trim().split(/ +/).map(Number) ?? [])
  const sum = (...columns: readonly number[]) =>
    devices.reduce((all, row) => all + columns.reduce((part, at) => part + (row[at] ?? 0), 0), 0)
  if (devices.length === 0)
    return { networkReceivedBytes: null, networkSentBytes: null, networkErrors: null }
  return {
    networkReceivedBytes: sum(0),
    networkSentBytes: sum(8),
    networkErrors: sum(2, 3, 10, 11),
  }
}
