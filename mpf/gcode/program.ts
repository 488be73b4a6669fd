/** A verified program against its signed policy (step 18), and the commands it consists of. */

import type { IndexEntry } from '../block-index.ts'
import type { VerifiedBlock } from '../body.ts'
import { MpfError } from '../errors.ts'
import type { SignedPolicy } from '../manifest.ts'
import { isLayerComment } from './layers.ts'
import type { MachineLimits, Refusal } from './limits.ts'
import { Machine, type ProgramListeners } from './machine.ts'
import { encodeModal, type ModalState, zMicrometres } from './modal.ts'
import type { MachineProfile } from './profile.ts'

const NM = 1000
const LF = 10
const SPACE = 32
const SEMICOLON = 59

export interface ProgramCheck {
  /** Checks the next block, in order. @throws MpfError MPF_GCODE, MPF_ENVELOPE, MPF_MODAL, MPF_INDEX, with the line */
  check(block: VerifiedBlock): void
  /** After the last block. @throws MpfError MPF_INDEX when lines are missing */
  end(): void
}

const refuse: Refusal = (code, line, problem) => {
  throw new MpfError(code, `line ${line}: ${problem}`, { line })
}

/** Who listens to a check (what they heard counts only once `end` has returned), and where it starts. */
export interface ProgramCheckOptions extends ProgramListeners {
  /** Starts before this block, with the machine as the index says. Only for a program that was checked whole before: its index is known to be true. */
  readonly fromBlock?: number
}

/** A check of a whole program from its first line, inside the signed policy (which checkMachine has put inside the printer's). */
export function createProgramCheck(
  policy: SignedPolicy,
  index: readonly IndexEntry[],
  lines: number,
  options: ProgramCheckOptions = {},
): ProgramCheck {
  const machine = new Machine(limitsOf(policy), refuse, options)
  const first = index[options.fromBlock ?? 0]
  if (options.fromBlock && first) machine.restore(first.modal, first.firstLine - 1, first.layer)
  return {
    check(block) {
      const entry = index[block.index]
      if (!entry || machine.line !== block.firstLine - 1)
        throw new MpfError('MPF_INDEX', `block ${block.index} starts at line ${machine.line + 1}`, {
          block: block.index,
        })
      const modal = machine.modal()
      if (entry.layer !== machine.layers || entry.zMicrometres !== zMicrometres(modal))
        throw new MpfError('MPF_INDEX', `block ${block.index} begins at another layer or Z`, {
          block: block.index,
        })
      if (Buffer.compare(encodeModal(modal), entry.modalBytes) !== 0)
        throw new MpfError(
          'MPF_MODAL',
          `state before line ${block.firstLine} differs from the index`,
          {
            line: block.firstLine,
          },
        )
      machine.run(block.text)
      if (machine.line !== block.firstLine + block.lines - 1)
        throw new MpfError('MPF_INDEX', `block ${block.index} ends at line ${machine.line}`, {
          block: block.index,
        })
    },
    end() {
      if (machine.line !== lines)
        throw new MpfError('MPF_INDEX', `${machine.line} of ${lines} lines`)
    },
  }
}

/**
 * The machine's state once `line` of `block` has run. Only for a program that was checked whole before: the index is believed.
 * @throws MpfError MPF_INDEX for a line outside the block, and as `check`
 */
export function modalAfter(
  policy: SignedPolicy,
  index: readonly IndexEntry[],
  block: VerifiedBlock,
  line: number,
): ModalState {
  const entry = index[block.index]
  const count = line - block.firstLine + 1
  if (!entry || count < 0 || count > block.lines)
    throw new MpfError('MPF_INDEX', `line ${line} is not in block ${block.index}`)
  const machine = new Machine(limitsOf(policy), refuse)
  machine.restore(entry.modal, block.firstLine - 1)
  let end = 0
  for (let i = 0; i < count; i++) end = block.text.indexOf(LF, end) + 1
  if (end > 0) machine.run(block.text.subarray(0, end))
  return machine.modal()
}

/** The limits a signed policy sets. */
export function limitsOf(policy: SignedPolicy): MachineLimits {
  return {
    words: new Set(policy.words),
    minNm: policy.minUm.map(um => um * NM),
    maxNm: policy.maxUm.map(um => um * NM),
    maxFeedUmPerMin: policy.feedUmPerMin,
    maxExtrusionUmPerMm: policy.extrusionUmPerMm,
    maxHotendDeciC: policy.hotendDeciC,
    maxBedDeciC: policy.bedDeciC,
    maxChamberDeciC: policy.chamberDeciC,
    maxCommandBytes: policy.line,
  }
}

/** The limits of a printer. */
export function profileLimits(profile: MachineProfile): MachineLimits {
  return {
    words: new Set(profile.words),
    minNm: profile.limitsMm.min.map(mm => Math.round(mm * 1e6)),
    maxNm: profile.limitsMm.max.map(mm => Math.round(mm * 1e6)),
    maxFeedUmPerMin: Math.round(profile.maxFeedMmPerMin * 1000),
    maxExtrusionUmPerMm: Math.round(profile.maxExtrusionMmPerMm * 1000),
    maxHotendDeciC: profile.maxTempC.hotend.map(celsius => Math.round(celsius * 10)),
    maxBedDeciC: Math.round(profile.maxTempC.bed * 10),
    maxChamberDeciC: Math.round(profile.maxTempC.chamber * 10),
    maxCommandBytes: profile.maxLineBytes,
  }
}

/**
 * Step 16: the signed policy lies inside the printer's own limits, so that proving the program inside the policy proves both.
 * @throws MpfError MPF_POLICY naming what does not fit
 */
export function checkMachine(policy: SignedPolicy, profile: MachineProfile): void {
  const [signed, printer] = [limitsOf(policy), profileLimits(profile)]
  const exceeds = (a: readonly number[], b: readonly number[]) =>
    a.some((value, i) => value > (b[i] ?? 0))
  const isCommanded = (_: number, axis: number) =>
    (signed.minNm[axis] ?? 0) <= (signed.maxNm[axis] ?? 0)
  const commanded = (nm: readonly number[]) => nm.filter(isCommanded)
  const foreignWord = policy.words.find(word => !printer.words.has(word))
  const misfits: readonly (readonly [boolean, string])[] = [
    [
      policy.model.length > 0 && !policy.model.includes(profile.model),
      `made for ${policy.model.join(', ')}`,
    ],
    [
      policy.nozzleUm !== 0 && policy.nozzleUm !== Math.round(profile.nozzleMm * 1000),
      `nozzle ${policy.nozzleUm} um`,
    ],
    [foreignWord !== undefined, `uses ${foreignWord}`],
    [
      exceeds(commanded(printer.minNm), commanded(signed.minNm)) ||
        exceeds(commanded(signed.maxNm), commanded(printer.maxNm)),
      'positions outside the machine',
    ],
    [signed.maxFeedUmPerMin > printer.maxFeedUmPerMin, `feed ${policy.feedUmPerMin / 1000} mm/min`],
    [
      signed.maxExtrusionUmPerMm > printer.maxExtrusionUmPerMm,
      `${policy.extrusionUmPerMm / 1000} mm of filament per mm`,
    ],
    [
      exceeds(signed.maxHotendDeciC, printer.maxHotendDeciC),
      `hotend ${Math.max(...policy.hotendDeciC) / 10} C`,
    ],
    [signed.maxBedDeciC > printer.maxBedDeciC, `bed ${policy.bedDeciC / 10} C`],
    [signed.maxChamberDeciC > printer.maxChamberDeciC, `chamber ${policy.chamberDeciC / 10} C`],
    [signed.maxCommandBytes > printer.maxCommandBytes, `commands of ${policy.line} bytes`],
  ]
  for (const [isMisfit, what] of misfits)
    if (isMisfit) throw new MpfError('MPF_POLICY', `does not fit this printer: ${what}`)
}

/** One command as it goes to a controller, with where it stands in the sealed text. */
export interface ProgramCommand {
  /** Line of the sealed text, from 1. */
  readonly line: number
  /** Without comment, leading or trailing spaces. */
  readonly text: string
  /** Layers begun up to this line. */
  readonly layer: number
}

/** The commands of one checked block, in order; lines without a command are passed over. */
export class CommandReader {
  readonly #text: Buffer
  #at = 0
  #line: number
  #layer: number

  constructor(block: VerifiedBlock) {
    this.#text = block.text
    this.#line = block.firstLine - 1
    this.#layer = block.layer
  }

  /** The next command, or undefined at the end of the block. */
  next(): ProgramCommand | undefined {
    const text = this.#text
    while (this.#at < text.length) {
      let from = this.#at
      const lf = text.indexOf(LF, from)
      this.#at = lf + 1
      this.#line++
      if (text[from] === SEMICOLON && isLayerComment(text, from, lf)) this.#layer++
      while (text[from] === SPACE) from++
      if (from === lf || text[from] === SEMICOLON) continue
      return { line: this.#line, text: command(text, from, lf), layer: this.#layer }
    }
    return undefined
  }
}

function command(text: Buffer, from: number, lf: number): string {
  const semicolon = text.subarray(from, lf).indexOf(SEMICOLON)
  let end = semicolon < 0 ? lf : from + semicolon
  while (text[end - 1] === SPACE) end--
  return text.toString('latin1', from, end)
}
