/** How a link does, in the words of the control socket and of the journal. Pure. */

import type { StreamStatistics } from '#drivers'
import type { LinkView } from '#lib/control-protocol.ts'

export function linkView(statistics: StreamStatistics): LinkView {
  const { okToWrite, wireUtilisation, plannerFree, plannerBlocks } = statistics
  const { stalls, reattachments, bytesSent, bytesReceived, savedBytes } = statistics
  return {
    okToNextMs: {
      p50: micros(okToWrite.p50Ms),
      p99: micros(okToWrite.p99Ms),
      p999: micros(okToWrite.p999Ms),
    },
    wireUtilisation: micros(wireUtilisation),
    plannerFree: plannerFree ?? null,
    plannerBlocks: plannerBlocks ?? null,
    ...{ stalls, reattachments, bytesSent, bytesReceived, savedBytes },
  }
}

/** What the journal keeps of a link at the end of a print. */
export function linkDetail(statistics: StreamStatistics): Readonly<Record<string, number | null>> {
  const { okToNextMs, wireUtilisation, stalls, reattachments, bytesSent } = linkView(statistics)
  const { p50, p99, p999 } = okToNextMs
  return {
    ...{ resends: statistics.resends, stalls, reattachments, wireUtilisation },
    ...{ bytesSent, savedBytes: statistics.savedBytes },
    ...{ okToNextP50Ms: p50, okToNextP99Ms: p99, okToNextP999Ms: p999 },
  }
}

/** Three decimals: a microsecond of a millisecond is enough. */
function micros(value: number | undefined): number | null {
  return value === undefined ? null : Math.round(value * 1000) / 1000
}
