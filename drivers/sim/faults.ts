/** Scripted and seeded misfortune between the simulated board and its host: what a cable, a board and a person do. Pure. */

/** Rates are probabilities per byte or per acknowledgement. `at` counts executed commands, the driver's own included. */
export interface FaultPlan {
  readonly seed: number
  readonly flipInPerByte: number
  readonly flipOutPerByte: number
  /** False: at most one bit of a line flips, so that an XOR checksum sees every damage. */
  readonly hasBursts: boolean
  readonly dropOkRate: number
  readonly events: readonly { readonly kind: FaultEvent; readonly at: number }[]
}

/**
 * `bump`: the cable is out for a moment, the board stays on; `brownout`: it is out because the board lost its power;
 * `collision`: the next move is damaged twice in one bit column, which its checksum cannot see.
 */
export type FaultEvent =
  | 'unplug'
  | 'silence'
  | 'reset'
  | 'kill'
  | 'runaway'
  | 'bump'
  | 'brownout'
  | 'collision'

const EVENTS: readonly string[] = [
  'unplug',
  'silence',
  'reset',
  'kill',
  'runaway',
  'bump',
  'brownout',
  'collision',
] satisfies FaultEvent[]
const RATES = {
  seed: 'seed',
  'flip-in': 'flipInPerByte',
  'flip-out': 'flipOutPerByte',
  'drop-ok': 'dropOkRate',
} as const

/** A link on which nothing happens. */
export const NO_FAULTS: FaultPlan = {
  seed: 1,
  flipInPerByte: 0,
  flipOutPerByte: 0,
  hasBursts: false,
  dropOkRate: 0,
  events: [],
}

/**
 * Reads `seed=7,flip-in=0.001,flip-out=0.001,bursts,drop-ok=0.01,reset@500`.
 * @throws RangeError for a word it does not know.
 */
export function parseFaults(spec: string): FaultPlan {
  const plan = { ...NO_FAULTS, events: [] as { kind: FaultEvent; at: number }[] }
  for (const word of spec.split(',').filter(Boolean)) {
    const [, event, at] = /^([a-z]+)@(\d+)$/.exec(word) ?? []
    const [, rate, value] = /^([a-z-]+)=([\d.]+)$/.exec(word) ?? []
    if (event !== undefined && isEvent(event)) plan.events.push({ kind: event, at: Number(at) })
    else if (rate !== undefined && isRate(rate)) plan[RATES[rate]] = Number(value)
    else if (word === 'bursts') plan.hasBursts = true
    else throw new RangeError(`unknown fault: ${word}`)
  }
  return plan
}

function isEvent(word: string): word is FaultEvent {
  return EVENTS.includes(word)
}

function isRate(word: string): word is keyof typeof RATES {
  return Object.hasOwn(RATES, word)
}

/** A small seeded generator (mulberry32): uniform in [0, 1). */
export function seeded(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}

/** Flips bits in place, one direction of the cable. Keeps track of lines across chunks. */
export function createFlipper(
  perByte: number,
  hasBursts: boolean,
  random: () => number,
): (bytes: Uint8Array) => number {
  let isLineHit = false
  return bytes => {
    if (perByte === 0) return 0
    let flips = 0
    for (let i = 0; i < bytes.length; i++) {
      const byte = bytes[i] ?? 0
      const isHit = random() < perByte && (hasBursts || !isLineHit)
      if (isHit) {
        bytes[i] = byte ^ (1 << Math.floor(random() * 8))
        flips++
        isLineHit = true
      }
      // A damaged line feed joins two lines: both count as one.
      if (byte === 0x0a && !isHit) isLineHit = false
    }
    return flips
  }
}

/** Flips the lowest bit of one move's first X and its last Y or E word's first digit; false where no whole move with both is among the bytes. */
export function collide(bytes: Uint8Array): boolean {
  const move = /G1 X(\d)[^\n*]*[YE](\d)[^\n]*\n/d.exec(Buffer.from(bytes).toString('latin1'))
  const [, x, other] = move?.indices ?? []
  if (!x || !other) return false
  for (const [at] of [x, other]) bytes[at] = (bytes[at] ?? 0) ^ 1
  return true
}
