/** The words Klipper's gcode.py answers with. Pure. */
import { parseFields, parsePosition, parseTemperatures } from '../marlin/replies.ts'
import { PLAIN_OK, type Reply, START } from '../reply.ts'

const STATE = /^\/\/ Klipper state: (\w+)/
/** Asks in what state it is, and why. */
export const STATE_QUESTION = 'STATUS\n'
/** Somebody's RESTART or FIRMWARE_RESTART has begun; `Ready` ends it. */
const RESTARTING: Reply = Object.freeze({ kind: 'start' })
const STOPPED = /shutdown|not ready|lost communication|disconnect/i

/** Parses one reply line. Never throws: what fits nothing is a `message`. */
export function parseKlipperReply(line: string): Reply {
  if (line === 'ok') return PLAIN_OK
  const text = line.endsWith('\r') ? line.slice(0, -1) : line
  if (text.startsWith('ok ')) return parseOk(text)
  if (text.startsWith('!!'))
    return STOPPED.test(text)
      ? { kind: 'fatal', text }
      : { kind: 'refused', text: text.slice(2).trim(), isAcknowledgement: false }
  if (text.startsWith('//')) return parseInfo(text)
  const temperatures = /^(?:T\d?|B):/.test(text) ? parseTemperatures(text) : undefined
  if (temperatures) return { kind: 'temperatures', temperatures, isWaiting: true }
  return parsePosition(text) ?? (text === 'ok' ? PLAIN_OK : { kind: 'message', text })
}

function parseOk(text: string): Reply {
  const fields = parseFields(text)
  if (fields.FIRMWARE_NAME !== undefined)
    return { ...PLAIN_OK, report: { kind: 'firmware', fields } }
  const temperatures = parseTemperatures(text)
  if (temperatures) return { kind: 'okTemperatures', temperatures }
  // Without any heater configured.
  return text === 'ok T:0'
    ? { kind: 'okTemperatures', temperatures: {} }
    : { kind: 'message', text }
}

function parseInfo(text: string): Reply {
  const state = STATE.exec(text)?.[1]
  if (state === 'Ready') return START
  if (state === 'Disconnect') return RESTARTING
  if (state !== undefined) return { kind: 'fatal', text, question: STATE_QUESTION }
  const action = /^\/\/ ?action:(.*)$/.exec(text)?.[1]
  if (action !== undefined) return { kind: 'action', action }
  const unknown = /^\/\/ Unknown command: ?"(.*)"$/.exec(text)?.[1]
  if (unknown !== undefined) return { kind: 'unknownCommand', text: unknown }
  return { kind: 'message', text }
}
