/** The words grbl 1.1 and grblHAL answer with. Pure. */
import type { Position } from '../controller.ts'
import { PLAIN_OK, type Reply, START } from '../reply.ts'
import { explained } from './codes.ts'

const VERSION = /^\[VER:([^:\]]*)/
const OPTIONS = /^\[OPT:([^,\]]*),(\d+),(\d+)/
const FIRMWARE = /^\[FIRMWARE:([^\]]*)\]$/

/** Parses one reply line. Never throws: what fits nothing is a `message`. */
export function parseGrblReply(line: string): Reply {
  if (line === 'ok') return PLAIN_OK
  const text = line.endsWith('\r') ? line.slice(0, -1) : line
  if (text === 'ok') return PLAIN_OK
  if (text === '') return { kind: 'echo', text }
  if (text.startsWith('<')) return parseStatus(text)
  if (text.startsWith('error:'))
    return { kind: 'refused', text: explained(text), isAcknowledgement: true }
  if (text.startsWith('ALARM:')) return { kind: 'fatal', text: explained(text) }
  if (/^Grbl(?:HAL)? \d/i.test(text)) return START
  if (text.startsWith('[')) return parseFeedback(text)
  return { kind: 'message', text }
}

function parseFeedback(text: string): Reply {
  const version = VERSION.exec(text)?.[1]
  const firmware = FIRMWARE.exec(text)?.[1]
  const options = OPTIONS.exec(text)
  const unknown = { options: undefined, plannerBlocks: undefined, receiveBytes: undefined }
  if (version !== undefined) return { kind: 'build', ...unknown, version }
  if (firmware !== undefined) return { kind: 'firmware', fields: { FIRMWARE_NAME: firmware } }
  if (options)
    return {
      kind: 'build',
      version: undefined,
      options: options[1] ?? '',
      plannerBlocks: Number(options[2]),
      receiveBytes: Number(options[3]),
    }
  return { kind: 'echo', text }
}

function parseStatus(text: string): Reply {
  if (!text.endsWith('>')) return { kind: 'message', text }
  const [state = '', ...fields] = text.slice(1, -1).split('|')
  const values = new Map(fields.map(splitField))
  const [plannerFree, receiveFreeBytes] = numbersOf(values.get('Bf'))
  const [line] = numbersOf(values.get('Ln'))
  const position = positionOf(values)
  return { kind: 'status', state, plannerFree, receiveFreeBytes, line, position }
}

function splitField(field: string): readonly [string, string] {
  const colon = field.indexOf(':')
  return [field.slice(0, colon), field.slice(colon + 1)]
}

/** Work position: told as such, or machine position less the offset where the same report tells both. Millimetres, no extruder. */
function positionOf(values: ReadonlyMap<string, string>): Position | undefined {
  const [x, y, z] = numbersOf(values.get('WPos'))
  if (x !== undefined && y !== undefined && z !== undefined) return { x, y, z, e: 0 }
  const [mx, my, mz] = numbersOf(values.get('MPos'))
  const [ox, oy, oz] = numbersOf(values.get('WCO'))
  if (mx === undefined || my === undefined || mz === undefined) return undefined
  if (ox === undefined || oy === undefined || oz === undefined) return undefined
  return { x: mx - ox, y: my - oy, z: mz - oz, e: 0 }
}

function numbersOf(text: string | undefined): readonly (number | undefined)[] {
  if (text === undefined || !/^-?[\d.]+(?:,-?[\d.]+)*$/.test(text)) return []
  return text.split(',').map(Number)
}
