/** Good files mutated at random and by structure, some of them signed again as a hostile publisher would. */

import { forge } from '../fakes/mpf-forge.ts'
import { BLOCKS } from '../fakes/mpf-forge-program.ts'
import type { Forgery } from '../fakes/mpf-forgery.ts'
import { createRandom, programText } from '../fakes/mpf-samples.ts'

export type Random = (below: number) => number

/** A good file and the blocks it was made from. */
export interface Specimen {
  readonly bytes: Buffer
  readonly blocks: readonly string[]
}

/** A file to read, and what it may say if it opens; undefined when whoever made it could sign anything. */
export interface Mutant {
  readonly mutation: string
  readonly bytes: Buffer
  readonly blocks: readonly string[] | undefined
}

export function createSpecimens(): readonly Specimen[] {
  const shapes: readonly (readonly string[])[] = [
    ['G28\n'],
    ['G28\nG1 X1 Y1 F600\nM104 S200\n', 'G1 X2 Y2\n', 'M104 S0\n'],
    [programText(150)],
    BLOCKS,
  ]
  const small = shapes.map(blocks => ({ blocks, bytes: forge({ blocks }) }))
  return [...small, { blocks: BLOCKS, bytes: forge({ segmentBytes: 65536 }) }]
}

const pick = <T>(random: Random, from: readonly T[]): T => from[random(from.length)] as T

const INTERESTING = [0n, 1n, 23n, 24n, 144n, 4095n, 4096n, 65536n, 1n << 31n, 1n << 32n, 1n << 36n]
const WORDS64 = [...INTERESTING, (1n << 40n) - 1n, 1n << 40n, (1n << 53n) + 1n, (1n << 64n) - 1n]

type Mutation = (bytes: Buffer, random: Random, all: readonly Specimen[]) => Buffer

const splice = (bytes: Buffer, at: number, remove: number, insert: Uint8Array) =>
  Buffer.concat([bytes.subarray(0, at), insert, bytes.subarray(at + remove)])

function rangeOf(bytes: Buffer, random: Random): readonly [number, number] {
  const at = random(bytes.length + 1)
  return [at, Math.min(bytes.length - at, random(2) === 0 ? random(32) : random(8192))]
}

const sectionOf = (bytes: Buffer, i: number) => {
  const [offset, length] = [32 + 24 * i, 40 + 24 * i].map(at => Number(bytes.readBigUInt64BE(at)))
  return { offset: offset ?? 0, length: length ?? 0 }
}

/** Mutations of bytes by somebody who can sign nothing. */
const MUTATIONS: Readonly<Record<string, Mutation>> = {
  flipBits(bytes, random) {
    for (let n = 1 + random(8); n > 0; n--) {
      const at = random(bytes.length)
      bytes[at] = (bytes[at] ?? 0) ^ (1 << random(8))
    }
    return bytes
  },
  flipOneBitOfASection(bytes, random) {
    const { offset, length } = sectionOf(bytes, random(5))
    const at = offset + random(Math.max(1, length))
    bytes[at] = (bytes[at] ?? 0) ^ (1 << random(8))
    return bytes
  },
  setBytes(bytes, random) {
    const [at, length] = rangeOf(bytes, random)
    return bytes.fill(random(256), at, at + length)
  },
  truncate: (bytes, random) => bytes.subarray(0, random(bytes.length)),
  extend: (bytes, random) => Buffer.concat([bytes, Buffer.alloc(1 + random(5000), random(2) * 7)]),
  remove(bytes, random) {
    const [at, length] = rangeOf(bytes, random)
    return splice(bytes, at, length, Buffer.alloc(0))
  },
  duplicate(bytes, random) {
    const [at, length] = rangeOf(bytes, random)
    return splice(bytes, at, 0, Buffer.from(bytes.subarray(at, at + length)))
  },
  overwriteWithAnotherPlace(bytes, random) {
    const [from, length] = rangeOf(bytes, random)
    const copy = Buffer.from(bytes.subarray(from, from + length))
    copy.copy(bytes, random(bytes.length))
    return bytes
  },
  prelude(bytes, random) {
    bytes[random(144)] = random(256)
    return bytes
  },
  tableWord(bytes, random) {
    bytes.writeBigUInt64BE(pick(random, WORDS64), 32 + 24 * random(5) + 8 * random(2))
    return bytes
  },
  swapEntries(bytes, random) {
    const [one, two] = [random(5), random(5)].map(i => 24 + 24 * i) as [number, number]
    const kept = Buffer.from(bytes.subarray(one, one + 24))
    bytes.copy(bytes, one, two, two + 24)
    kept.copy(bytes, two)
    return bytes
  },
  swapSegments(bytes, random) {
    const { offset, length } = sectionOf(bytes, 4)
    const segments = Math.max(1, Math.floor(length / 4096))
    const [one, two] = [random(segments), random(segments)].map(i => offset + 4096 * i) as [
      number,
      number,
    ]
    const kept = Buffer.from(bytes.subarray(one, one + 4096))
    bytes.copy(bytes, one, two, two + 4096)
    kept.copy(bytes, two)
    return bytes
  },
  joseCharacter(bytes, random) {
    const { offset, length } = sectionOf(bytes, 1 + random(2))
    bytes[offset + random(length)] = '.=-_+/ \n\0{"Aa0~'.charCodeAt(random(16))
    return bytes
  },
  sectionOfAnotherFile(bytes, random, all) {
    const i = random(5)
    const other = pick(random, all).bytes
    const [mine, theirs] = [sectionOf(bytes, i), sectionOf(other, i)]
    const content = other.subarray(
      theirs.offset,
      theirs.offset + Math.min(mine.length, theirs.length),
    )
    content.copy(bytes, mine.offset)
    return bytes
  },
}

const INSERTED = ['{', '}', '[', ']', '"', ',', ':', '-', '0', 'e9', '.5', '\\u0000', '__proto__']

function mutateText(text: string, random: Random): string {
  const at = random(text.length + 1)
  const remove = random(3) === 0 ? random(20) : 0
  return text.slice(0, at) + pick(random, INSERTED) + text.slice(at + remove)
}

function mutateBytes(bytes: Buffer, random: Random): Buffer {
  const copy = Buffer.from(bytes)
  const name = pick(random, ['flipBits', 'setBytes', 'truncate', 'remove', 'duplicate'] as const)
  return copy.length === 0
    ? Buffer.of(random(256))
    : (MUTATIONS[name] as Mutation)(copy, random, [])
}

const COMMANDS = [
  'G1 X',
  'G91\n',
  'G2 I',
  'M104 S',
  'T1\n',
  '-',
  '.',
  '9',
  ';',
  'E5',
  '\r',
  '*1',
  'G28 ',
  'G20\n',
]

/** Forgeries by a publisher, or by an insider with the publisher's key: anything may be signed, nothing may crash. */
const FORGERIES: Readonly<Record<string, (random: Random) => Forgery>> = {
  manifest: random => ({ manifestText: text => mutateText(text, random) }),
  manifestHeader: random => ({ manifestHeader: text => mutateText(text, random) }),
  grant: random => ({ grantText: text => mutateText(text, random) }),
  publicHeader: random => ({ pubText: text => mutateText(text, random) }),
  meta: random => ({ meta: bytes => mutateBytes(bytes, random) }),
  index: random => ({ index: bytes => mutateBytes(bytes, random) }),
  frame: random => ({ frame: bytes => mutateBytes(bytes, random) }),
  segments: random => ({
    bodySegments: segments =>
      segments.map(each => (random(3) === 0 ? mutateBytes(each, random) : each)),
  }),
  program: random => ({ blocks: [mutateProgram(random)] }),
  jwe: random => ({ jwe: text => mutateText(text, random) }),
}

function mutateProgram(random: Random): string {
  let text = programText(30, random(1000))
  for (let n = random(6); n >= 0; n--) {
    const at = random(text.length)
    text = text.slice(0, at) + pick(random, COMMANDS) + text.slice(at + random(4))
  }
  return text
}

/** The next mutant of an endless, repeatable sequence. */
export function createMutants(seed: number, specimens: readonly Specimen[]): () => Mutant {
  const random = createRandom(seed)
  const names = Object.keys(MUTATIONS)
  const forgeries = Object.keys(FORGERIES)
  return () => {
    if (random(16) === 0) {
      const name = pick(random, forgeries)
      return {
        mutation: `forged ${name}`,
        bytes: forge(FORGERIES[name]?.(random)),
        blocks: undefined,
      }
    }
    const { bytes, blocks } = pick(random, specimens)
    const name = pick(random, names)
    const mutate = MUTATIONS[name] as Mutation
    return { mutation: name, bytes: mutate(Buffer.from(bytes), random, specimens), blocks }
  }
}
