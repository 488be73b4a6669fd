/** What a process of this machine holds in memory, searched; root, or its owner, on Linux. */
import { closeSync, openSync, readFileSync, readSync } from 'node:fs'

const CHUNK_BYTES = 16 * 1024 * 1024

/** Which of the needles lie in a readable mapping of the process. */
export function foundInMemory(pid: number, needles: readonly Buffer[]): readonly Buffer[] {
  const found = new Set<Buffer>()
  const overlap = Math.max(...needles.map(({ length }) => length))
  const file = openSync(`/proc/${pid}/mem`, 'r')
  try {
    for (const [from, to] of readableRanges(pid))
      for (let at = from; at < to; at += CHUNK_BYTES - overlap) {
        const chunk = readAt(file, at, Math.min(CHUNK_BYTES, to - at))
        for (const needle of needles) if (chunk.includes(needle)) found.add(needle)
      }
  } finally {
    closeSync(file)
  }
  return [...found]
}

/** proc(5); what the kernel lends (vvar, vsyscall) cannot be read there. */
function readableRanges(pid: number): readonly (readonly [number, number])[] {
  return readFileSync(`/proc/${pid}/maps`, 'utf8')
    .split('\n')
    .flatMap(line => {
      const [, from = '', to = '', name = ''] =
        /^([0-9a-f]+)-([0-9a-f]+) r\S+ \S+ \S+ \S+\s*(.*)$/.exec(line) ?? []
      if (from === '' || name.startsWith('[v')) return []
      return [[Number.parseInt(from, 16), Number.parseInt(to, 16)] as const]
    })
}

/** Fewer bytes where a mapping has ended since. */
function readAt(file: number, at: number, length: number): Buffer {
  const bytes = Buffer.alloc(length)
  try {
    return bytes.subarray(0, readSync(file, bytes, 0, length, at))
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined
    if (code === 'EIO' || code === 'EFAULT') return bytes.subarray(0, 0)
    throw error
  }
}
