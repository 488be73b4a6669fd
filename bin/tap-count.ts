/** Reads tap's output line by line: what passed, what failed, and which lines a person wants to see. Pure. */

/** Tests (`test(...)` of a file, not their single asserts). A file that breaks outside of any test is one failure. */
export interface TapTally {
  passed: number
  failed: number
  skipped: number
}

export interface TapCount {
  readonly tally: Readonly<TapTally>
  /** Takes one line of TAP and answers the lines to show for it: one a finished file, and all of what failed. */
  push(line: string): readonly string[]
}

/** A result line of a file (no indent) or of a test in it (indent 4). */
const RESULT =
  /^(?<indent> {4})?(?<isFailed>not )?ok \d+(?: - (?<name>.*?))?(?: # (?<directive>time=|SKIP|TODO)(?<rest>.*))?(?: \{)?$/i
/** What tap prints around the failures: versions, plans, passed asserts, its own totals. */
const CHATTER =
  /^(TAP version|1\.\.|# (time=|\{ total|No coverage|Subtest)|\s*$|\s+(1\.\.|ok \d|# (Subtest|time=)))/

interface OpenFile extends TapTally {
  readonly lines: string[]
}

export function createTapCount(): TapCount {
  const tally: TapTally = { passed: 0, failed: 0, skipped: 0 }
  let file = openFile()
  return {
    tally,
    push(line) {
      if (line.startsWith('# Subtest: ')) file = openFile()
      if (line.startsWith('Bail out!')) {
        tally.failed++
        return [line]
      }
      const result = RESULT.exec(line)?.groups
      if (!CHATTER.test(line) && !(result && result.indent === undefined)) file.lines.push(line)
      if (result === undefined) return []
      if (result.indent !== undefined) {
        file[verdictOf(result)]++
        return []
      }
      const closed = file
      file = openFile()
      return closeFile(closed, result, tally)
    },
  }
}

function verdictOf(result: Record<string, string>): keyof TapTally {
  const directive = result.directive ?? 'time='
  if (directive !== 'time=') return 'skipped'
  return result.isFailed === undefined ? 'passed' : 'failed'
}

function closeFile(
  file: OpenFile,
  result: Record<string, string>,
  tally: TapTally,
): readonly string[] {
  const isFailed = result.isFailed !== undefined
  const failed = isFailed ? Math.max(file.failed, 1) : file.failed
  tally.passed += file.passed
  tally.failed += failed
  tally.skipped += file.skipped
  const counts = [
    `${file.passed} passed`,
    ...(failed > 0 ? [`${failed} failed`] : []),
    ...(file.skipped > 0 ? [`${file.skipped} skipped`] : []),
  ]
  const timeMs = Number.parseFloat(result.rest ?? '')
  const time = Number.isNaN(timeMs) ? '' : `  ${Math.round(timeMs)} ms`
  const heading = `${isFailed ? 'FAIL' : 'ok  '} ${result.name}  ${counts.join(', ')}${time}`
  return isFailed ? [heading, ...file.lines] : [heading]
}

function openFile(): OpenFile {
  return { passed: 0, failed: 0, skipped: 0, lines: [] }
}
