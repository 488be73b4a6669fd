/** Which line of a program a machine has come to, told by where it stands: read from verified blocks. */

import { applyMotion, comparePositions, type MotionState, type Position } from '#drivers'
import {
  blockOfLine,
  CommandReader,
  MODAL_BIT,
  type ModalState,
  openBody,
  type ProgramCommand,
} from '#mpf'
import { findResumePoint, type OpenedBody } from './resume-point.ts'

/** Some five seconds of the shortest moves a wire can carry, and the window and planner on top. */
const SEARCHED_COMMANDS = 5_120
const NM_PER_MM = 1e6

/** See `OpenedPrint.standingLine`. @throws MpfError by code; `signal.reason`. */
export async function findStandingLine(
  body: OpenedBody,
  line: number,
  reported: Position,
): Promise<number | undefined> {
  const { modal } = await findResumePoint(body, line, 0)
  // What is told is in millimetres.
  if ((modal.bits & MODAL_BIT.inches) !== 0) return undefined
  let motion = motionOf(modal)
  let isThere = stands(motion, reported)
  let found = isThere ? line : undefined
  let searched = 0
  for await (const command of commandsAfter(body, line)) {
    motion = applyMotion(motion, command.text)
    if (isUncertain(motion) || ++searched > SEARCHED_COMMANDS) break
    const wasThere = isThere
    isThere = stands(motion, reported)
    if (!isThere || wasThere) continue
    // A place the program comes to twice says nothing.
    if (found !== undefined) return undefined
    found = command.line
  }
  return found
}

async function* commandsAfter(
  { container, manifest, keys, index, signal }: OpenedBody,
  line: number,
): AsyncGenerator<ProgramCommand> {
  const options = { fromBlock: blockOfLine(index, line), signal }
  for await (const block of openBody(container, manifest, keys, index, options))
    try {
      const reader = new CommandReader(block)
      for (let next = reader.next(); next; next = reader.next()) if (next.line > line) yield next
    } finally {
      block.text.fill(0)
    }
}

function stands({ x, y, z, e }: MotionState, reported: Position): boolean {
  if (x === undefined || y === undefined || z === undefined || e === undefined) return false
  return comparePositions({ x, y, z, e }, reported).kind === 'agrees'
}

/** From here on nothing can be compared. */
function isUncertain({ x, y, z, e }: MotionState): boolean {
  return [x, y, z, e].includes(undefined)
}

function motionOf({ xNm, yNm, zNm, eNm, bits }: ModalState): MotionState {
  const isRelative = (bits & MODAL_BIT.relativeXyz) !== 0
  const isRelativeE = (bits & MODAL_BIT.relativeE) !== 0
  const [x, y, z, e] = [xNm / NM_PER_MM, yNm / NM_PER_MM, zNm / NM_PER_MM, eNm / NM_PER_MM]
  return { x, y, z, e, isRelative, isRelativeE }
}
