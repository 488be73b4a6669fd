/** A histogram of latencies that costs two additions a sample: eight buckets an octave, from a microsecond to a minute. */
import type { LatencyPercentiles } from '../controller.ts'

const SUB_BUCKETS = 8
const OCTAVES = 26
const NS_PER_MS = 1e6
const NS_PER_US = 1e3

/** Percentiles are the upper edge of a bucket: at most 9 % too high, never too low. */
export class LatencyHistogram {
  readonly #counts = new Uint32Array(SUB_BUCKETS * OCTAVES)
  #samples = 0

  /** Takes one duration in milliseconds. */
  record(ms: number): void {
    const us = (ms * NS_PER_MS) / NS_PER_US
    const bucket = us <= 1 ? 0 : Math.floor(Math.log2(us) * SUB_BUCKETS)
    const last = this.#counts.length - 1
    const at = Math.min(bucket, last)
    this.#counts[at] = (this.#counts[at] ?? 0) + 1
    this.#samples++
  }

  percentiles(): LatencyPercentiles {
    return {
      p50Ms: this.#percentile(0.5),
      p99Ms: this.#percentile(0.99),
      p999Ms: this.#percentile(0.999),
      samples: this.#samples,
    }
  }

  #percentile(share: number): number | undefined {
    if (this.#samples === 0) return undefined
    let left = Math.ceil(this.#samples * share)
    for (let i = 0; i < this.#counts.length; i++) {
      left -= this.#counts[i] ?? 0
      if (left <= 0) return 2 ** ((i + 1) / SUB_BUCKETS) / 1000
    }
    return undefined
  }
}
