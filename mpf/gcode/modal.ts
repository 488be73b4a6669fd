/** The machine state a program leads to, as the index carries it before each block (SPEC 6.3). */

import { view } from '../container.ts'

export const MODAL_BYTES = 56
export const TOOLS = 4

/** Bits of the `bits` field. */
export const MODAL_BIT = {
  relativeXyz: 1, // G91
  relativeE: 2, // M83
  inches: 4, // G20
  knownX: 8, // commanded to an absolute position since start or homing
  knownY: 16,
  knownZ: 32,
} as const

const ALL_BITS = Object.values(MODAL_BIT).reduce((all, bit) => all | bit, 0)
export const MAX_FLOW_PERCENT = 1000

/** Positions in nanometres, feed in micrometres a minute, temperatures in tenths of a degree Celsius. */
export interface ModalState {
  readonly xNm: number
  readonly yNm: number
  readonly zNm: number
  readonly eNm: number
  readonly feedUmPerMin: number
  /** Setpoint of each tool, T0 to T3. */
  readonly hotendDeciC: readonly number[]
  readonly bedDeciC: number
  readonly chamberDeciC: number
  readonly fan: number
  readonly tool: number
  readonly bits: number
  readonly flowPercent: number
}

/** SPEC 6.2: Z in micrometres, rounded to the nearest, halves up. */
export function zMicrometres(state: ModalState): number {
  return Math.floor((state.zNm + 500) / 1000)
}

/** SPEC 6.3: 56 bytes, big-endian. */
export function encodeModal(state: ModalState): Uint8Array {
  const bytes = new Uint8Array(MODAL_BYTES)
  const fields = view(bytes)
  for (const [i, value] of [state.xNm, state.yNm, state.zNm, state.eNm].entries())
    fields.setBigInt64(8 * i, BigInt(value))
  fields.setUint32(32, state.feedUmPerMin)
  for (let tool = 0; tool < TOOLS; tool++)
    fields.setUint16(36 + 2 * tool, state.hotendDeciC[tool] ?? 0)
  fields.setUint16(44, state.bedDeciC)
  fields.setUint16(46, state.chamberDeciC)
  fields.setUint8(48, state.fan)
  fields.setUint8(49, state.tool)
  fields.setUint16(50, state.bits)
  fields.setUint16(52, state.flowPercent)
  return bytes
}

/** The state in 56 bytes, or undefined when reserved bytes are not zero, or a value cannot be represented or no program leads to it. */
export function decodeModal(bytes: Uint8Array): ModalState | undefined {
  const fields = view(bytes)
  const [xNm, yNm, zNm, eNm] = [0, 8, 16, 24].map(at => Number(fields.getBigInt64(at)))
  if (xNm === undefined || yNm === undefined || zNm === undefined || eNm === undefined)
    return undefined
  if (![xNm, yNm, zNm, eNm].every(Number.isSafeInteger) || fields.getUint16(54) !== 0)
    return undefined
  const isReachable =
    fields.getUint8(49) < TOOLS &&
    fields.getUint16(50) <= ALL_BITS &&
    fields.getUint16(52) <= MAX_FLOW_PERCENT
  if (!isReachable) return undefined
  return {
    xNm,
    yNm,
    zNm,
    eNm,
    feedUmPerMin: fields.getUint32(32),
    hotendDeciC: Array.from({ length: TOOLS }, (_, tool) => fields.getUint16(36 + 2 * tool)),
    bedDeciC: fields.getUint16(44),
    chamberDeciC: fields.getUint16(46),
    fan: fields.getUint8(48),
    tool: fields.getUint8(49),
    bits: fields.getUint16(50),
    flowPercent: fields.getUint16(52),
  }
}
