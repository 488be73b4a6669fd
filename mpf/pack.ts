/** The producer's side of the program (SPEC 9): normalised lines to compressed blocks of whole layers, measured on the way. */

import { blockDigest, compressBlock } from './blocks.ts'
import { MpfError } from './errors.ts'
import { PartMeter } from './gcode/geometry.ts'
import { isLayerComment } from './gcode/layers.ts'
import { type MachineLimits, NO_LIMITS } from './gcode/limits.ts'
import { Machine } from './gcode/machine.ts'
import { TOOLS, zMicrometres } from './gcode/modal.ts'
import type { NormaliseReport } from './gcode/normalise.ts'
import { createNormaliseReport, normaliseLines, wordOf } from './gcode/normalise.ts'
import type { MachineProfile } from './gcode/profile.ts'
import { profileLimits } from './gcode/program.ts'
import { SlicerComments, type SlicerFacts } from './gcode/slicer-comments.ts'
import { MAX_BLOCK_BYTES, MAX_THUMBNAILS } from './limits.ts'
import { NEVER_MAX_UM, NEVER_MIN_UM, type SignedPolicy } from './manifest.ts'
import { type PartGeometry, type Thumbnail, thumbnailKind } from './metadata.ts'
import type { SealedBlock } from './seal.ts'

const SEMICOLON = 59
const NM_PER_UM = 1000

/** A line a printer (or the format itself) would refuse. */
export interface RefusedLine {
  readonly code: 'MPF_GCODE' | 'MPF_ENVELOPE'
  readonly line: number
  /** The command, as `strip` names it; absent where a line has none. */
  readonly word?: string
  readonly problem: string
}

export interface PackOptions {
  /** zstd level, 1 to 22. */
  readonly level: number
  /** Words (`M117`) and macros (`TIMELAPSE_TAKE_FRAME`) whose lines are emptied. */
  readonly strip?: ReadonlySet<string>
  /** The printer to check against; without one only the format's own grammar is. */
  readonly profile?: MachineProfile
  /** At most so many refused lines are kept. */
  readonly maxRefused?: number
  readonly onProgress?: (bytes: number) => void
}

/** A program being packed. `facts`, `limits`, `refused` and `report` are final once `blocks()` has ended. */
export class ProgramPacker {
  readonly report: NormaliseReport = createNormaliseReport()
  readonly refused: RefusedLine[] = []
  refusedLines = 0
  lines = 0
  readonly #options: PackOptions
  readonly #measure: Machine
  readonly #check: Machine | undefined
  readonly #comments = new SlicerComments()
  readonly #meter = new PartMeter()
  readonly #fedNm = new Float64Array(TOOLS)
  readonly #filamentNm = new Float64Array(TOOLS)
  /** The lines being measured, and which of them were refused: each is named once. */
  #block: readonly Buffer[] = []
  readonly #refusedHere = new Set<number>()

  constructor(options: PackOptions) {
    this.#options = options
    const refuse = (code: RefusedLine['code'], line: number, problem: string) => {
      if (this.#refusedHere.has(line)) return
      this.#refusedHere.add(line)
      this.refusedLines++
      if (this.refused.length >= (options.maxRefused ?? 1000)) return
      const word = wordOf(this.#block[line - this.lines - 1]?.toString('latin1') ?? '')
      this.refused.push({ code, line, ...(word !== undefined && { word }), problem })
    }
    this.#measure = new Machine(NO_LIMITS, refuse, {
      isWidening: true,
      onMove: (from, to, eNm) => this.#followMove(from, to, eNm),
    })
    this.#check = options.profile && new Machine(profileLimits(options.profile), refuse)
  }

  get facts(): SlicerFacts {
    return this.#comments.facts
  }

  /** Layers begun so far. */
  get layers(): number {
    return this.#measure.layers
  }

  /** The slicer's pictures that MPF may carry; others are left out. */
  thumbnails(): readonly Thumbnail[] {
    return this.facts.thumbnails
      .flatMap(bytes => {
        const kind = thumbnailKind(bytes)
        return kind ? [{ kind, bytes }] : []
      })
      .slice(0, MAX_THUMBNAILS)
  }

  /** The part as the program draws it. */
  geometry(): PartGeometry | undefined {
    return this.#meter.geometry()
  }

  /** Filament drawn by tool, micrometres: how far it was fed at most, M221 applied; what is only retracted and fed again counts once. */
  filamentUm(): readonly number[] {
    return Array.from(this.#filamentNm, nm => Math.round(nm / NM_PER_UM))
  }

  /** What the program does at most. */
  limits(): MachineLimits {
    return this.#measure.limits()
  }

  /** The blocks in order: cut where a layer begins when that leaves no more than 1 MiB, else between lines. @throws MpfError MPF_GCODE for a line that cannot be cut */
  async *blocks(
    chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  ): AsyncGenerator<SealedBlock, void, void> {
    for await (const lines of this.#cut(chunks)) {
      const text = Buffer.concat(lines)
      const entry = this.#measureBlock(lines, text)
      const frame = compressBlock(text, this.#options.level)
      text.fill(0)
      this.#options.onProgress?.(entry.textBytes)
      yield { frame, entry, lines: lines.length }
    }
  }

  /** Measures and checks a program without compressing it. @throws as blocks */
  async check(chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): Promise<void> {
    for await (const lines of this.#cut(chunks)) {
      const text = Buffer.concat(lines)
      this.#measureBlock(lines, text)
      this.#options.onProgress?.(text.length)
    }
  }

  /** The lines of one block after another. */
  async *#cut(
    chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  ): AsyncGenerator<Buffer[], void, void> {
    let lines: Buffer[] = []
    let [bytes, layerAt, bytesAtLayer] = [0, 0, 0]
    for await (const line of normaliseLines(chunks, this.report, this.#options.strip)) {
      if (line.length > MAX_BLOCK_BYTES)
        throw new MpfError('MPF_GCODE', 'a line longer than a block')
      if (line[0] === SEMICOLON && isLayerComment(line, 0, line.length - 1)) {
        layerAt = lines.length
        bytesAtLayer = bytes
      }
      // Twice when the layer mark stood so early that the rest is still too long.
      while (bytes + line.length > MAX_BLOCK_BYTES) {
        const cut = layerAt === 0 ? lines.length : layerAt
        yield lines.slice(0, cut)
        lines = lines.slice(cut)
        bytes -= layerAt === 0 ? bytes : bytesAtLayer
        layerAt = 0
      }
      lines.push(line)
      bytes += line.length
    }
    if (lines.length > 0) yield lines
  }

  #measureBlock(lines: readonly Buffer[], text: Buffer): SealedBlock['entry'] {
    const modal = this.#measure.modal()
    const entry = {
      textBytes: text.length,
      firstLine: this.lines + 1,
      layer: this.layers,
      zMicrometres: zMicrometres(modal),
      digest: blockDigest(text),
      modal,
    }
    for (const line of lines) this.#readComment(line)
    this.#block = lines
    this.#refusedHere.clear()
    this.#measure.run(text)
    this.#check?.run(text)
    this.lines += lines.length
    return entry
  }

  #followMove(from: Float64Array, to: Float64Array, eNm: number): void {
    const { tool, flowPercent } = this.#measure
    const fedNm = (this.#fedNm[tool] as number) + (eNm * flowPercent) / 100
    this.#fedNm[tool] = fedNm
    if (fedNm > (this.#filamentNm[tool] as number)) this.#filamentNm[tool] = fedNm
    this.#meter.onMove(from, to, eNm)
  }

  #readComment(line: Buffer): void {
    if (line[0] !== SEMICOLON) return
    if (!isLayerComment(line, 0, line.length - 1))
      this.#comments.read(line.toString('latin1', 0, line.length - 1))
  }
}

/** The signed policy for measured limits: exactly what the program does, in the manifest's units, rounded outwards. */
export function policyFor(
  limits: MachineLimits,
  machine: { readonly models: readonly string[]; readonly nozzleUm: number },
): SignedPolicy {
  const um = (nm: readonly number[], round: (value: number) => number, never: number) => {
    const [x = never, y = never, z = never] = nm.map(value =>
      Number.isFinite(value) ? round(value / 1000) : never,
    )
    return [x, y, z] as [number, number, number]
  }
  return {
    model: [...machine.models],
    nozzleUm: machine.nozzleUm,
    words: [...limits.words].sort(),
    hotendDeciC: [...limits.maxHotendDeciC],
    bedDeciC: limits.maxBedDeciC,
    chamberDeciC: limits.maxChamberDeciC,
    feedUmPerMin: limits.maxFeedUmPerMin,
    // SPEC 6.3: one more than measured, for readers whose arcs differ in the last bit.
    extrusionUmPerMm: limits.maxExtrusionUmPerMm === 0 ? 0 : limits.maxExtrusionUmPerMm + 1,
    minUm: um(limits.minNm, Math.floor, NEVER_MIN_UM),
    maxUm: um(limits.maxNm, Math.ceil, NEVER_MAX_UM),
    line: Math.max(1, limits.maxCommandBytes),
  }
}
