/** Bytes into lines without a copy where the line is the one that always comes. Pure but for what it remembers of a half line. */

/** A line of printable replies is never this long: past it the bytes are noise (wrong baud rate) and are cut. */
const MAX_LINE_BYTES = 4096
const LINE_FEED = 0x0a
const LETTER_O = 0x6f
const LETTER_K = 0x6b

/** Calls `onLine` for each line (latin1, without its `\n`) that the given bytes complete. */
export function createLineSplitter(onLine: (line: string) => void): (bytes: Buffer) => void {
  let partial = ''
  return bytes => {
    let start = 0
    for (;;) {
      const end = bytes.indexOf(LINE_FEED, start)
      if (end < 0) break
      if (partial === '' && end - start === 2 && isOk(bytes, start)) onLine('ok')
      else {
        const line = partial + bytes.toString('latin1', start, end)
        partial = ''
        onLine(line)
      }
      start = end + 1
    }
    if (start === bytes.length) return
    partial += bytes.toString('latin1', start)
    if (partial.length <= MAX_LINE_BYTES) return
    const line = partial
    partial = ''
    onLine(line)
  }
}

function isOk(bytes: Buffer, start: number): boolean {
  return bytes[start] === LETTER_O && bytes[start + 1] === LETTER_K
}
