/** The words Marlin 2 answers with: one reply line in, one value out. Pure. */
import type { Temperature, Temperatures } from '../controller.ts'
import { PLAIN_OK, type Reply, START } from '../reply.ts'

const ADVANCED_OK = /^ok(?: N(\d{1,10}))?(?: P(\d{1,3}) B(\d{1,3}))? *$/
/** However the temperatures behind it are written: this M105 was executed. */
const OK_TEMPERATURES = /^ok (?:T\d?|B|C):/
const RESEND = /^(?:Resend:|rs) ?N?(\d{1,10})$/
const LAST_LINE = /Last Line: (\d{1,10})$/
const LINK_ERRORS =
  /^Error:(?:checksum mismatch|Line Number is not Last Line Number|No Checksum with line number|No Line Number with checksum|Serial status mismatch)/
/** As link errors begin: one that was damaged on its way is still none that stops the machine. */
const LINK_ERROR_WORDS = [
  'Error:checksum mismatch, Last Line: ',
  'Error:Line Number is not Last Line Number+1, Last Line: ',
  'Error:No Checksum with line number, Last Line: ',
]
/** Of 23 and more: what 1 % of noise a byte does to a line at its worst, and far from any other reply. */
const DAMAGED_CHARS = 5
/** Two of `ok N1234567 P15 B63`, run together where the line feed between them was damaged. */
const LONGEST_OK_CHARS = 48
/** No report: those begin with `T:` or a space. */
const DAMAGED_OK_TEMPERATURES = /^(?:o.|.k) T\d?:/s
const UNKNOWN_COMMAND = /^echo:Unknown command: "(.*)"$/
const UNKNOWN_COMMAND_WORDS = 'echo:Unknown command: "'
const BUSY = /^echo:busy: (.+)$/
const CAPABILITY = /^Cap:([A-Z0-9_]+):([01])$/
/** Further axes are named between Z and E. */
const POSITION =
  /^X:(-?\d+\.\d+) Y:(-?\d+\.\d+) Z:(-?\d+\.\d+)(?: [A-DF-Z]:-?\d+\.\d+)* E:(-?\d+\.\d+)/
/** Prusa's 8-bit firmware while it waits for heat, and nothing else then: without a target, the extruder's number behind it. */
const BARE_HEATING = /^T:-?\d+\.\d+ E:\d+(?: |$)/
/** A board that resets may begin with noise. */
const STARTED = /^[^ -~]*start$/
const HEATER = /(?:^|\s)(T\d?|B|C):(-?\d+(?:\.\d+)?) ?\/(-?\d+(?:\.\d+)?)/g
/** Prusa's 8-bit firmware without a UUID ends no line before its first capability (Marlin_main.cpp, M115): `EXTRUDER_COUNT:1Cap:…:1`. */
const FIELD_START = /(?:^| )([A-Z][A-Z_]+):|(Cap:[A-Z0-9_]+):/g
// These need no `Error:` before them to mean that the machine has stopped (Marlin language_en.h, temperature.cpp). One that is stopped
// until M999 acknowledges every move all the same, and makes none (queue.cpp, IsStopped).
const FATAL =
  /Printer (?:halted|stopped)|kill\(\) called|Thermal Runaway|Heating failed|M(?:AX|IN)TEMP triggered/i

/** Parses one reply line (no terminator; a trailing carriage return is ignored). Never throws: what fits nothing is a `message`. */
export function parseReply(line: string): Reply {
  if (line === 'ok') return PLAIN_OK
  const text = line.endsWith('\r') ? line.slice(0, -1) : line
  if (text.startsWith('ok')) return parseOk(text)
  if (text.startsWith('echo:')) return parseEcho(text)
  return parseAlarm(text) ?? parseReport(text) ?? parseDamage(text)
}

function parseDamage(text: string): Reply {
  // Behind another reply where the line feed between them was damaged.
  const at = isNear(text, UNKNOWN_COMMAND_WORDS) ? 0 : text.indexOf(UNKNOWN_COMMAND_WORDS)
  if (at >= 0)
    return { kind: 'unknownCommand', text: text.slice(at + UNKNOWN_COMMAND_WORDS.length) }
  const isOk = text.length <= LONGEST_OK_CHARS && (text[0] === 'o' || text[1] === 'k')
  return { kind: isOk ? 'damagedOk' : 'message', text }
}

function parseOk(text: string): Reply {
  if (text === 'ok') return PLAIN_OK
  const fields = ADVANCED_OK.exec(text)
  if (fields)
    return {
      kind: 'ok',
      line: numberOf(fields[1]),
      plannerFree: numberOf(fields[2]),
      queueFree: numberOf(fields[3]),
    }
  if (OK_TEMPERATURES.test(text))
    return { kind: 'okTemperatures', temperatures: parseTemperatures(text) ?? {} }
  // Looks like an acknowledgement but is none we know: taken for damaged, because an ok too few is safe and one too many is not.
  return parseDamage(text)
}

function parseEcho(text: string): Reply {
  const unknown = UNKNOWN_COMMAND.exec(text)?.[1]
  if (unknown !== undefined) return { kind: 'unknownCommand', text: unknown }
  const reason = BUSY.exec(text)?.[1]
  if (reason !== undefined) return { kind: 'busy', reason }
  if (FATAL.test(text)) return { kind: 'fatal', text }
  if (isNear(text, UNKNOWN_COMMAND_WORDS)) return parseDamage(text)
  return { kind: 'echo', text: text.slice('echo:'.length) }
}

function parseAlarm(text: string): Reply | undefined {
  const from = RESEND.exec(text)?.[1]
  if (from !== undefined) return { kind: 'resend', from: Number(from) }
  if (text.startsWith('Error:')) {
    const lastLine = LAST_LINE.exec(text)?.[1]
    if (
      lastLine !== undefined ||
      LINK_ERRORS.test(text) ||
      LINK_ERROR_WORDS.some(words => isNear(text, words))
    )
      return { kind: 'linkError', lastLine: numberOf(lastLine), text }
    return { kind: 'fatal', text }
  }
  if (text.startsWith('!!') || FATAL.test(text)) return { kind: 'fatal', text }
  return STARTED.test(text) ? START : undefined
}

/** Whether `text` begins with `words`, a few of them damaged. */
function isNear(text: string, words: string): boolean {
  let damaged = 0
  for (let i = 0; i < words.length && damaged <= DAMAGED_CHARS; i++)
    if (text[i] !== words[i]) damaged++
  return damaged <= DAMAGED_CHARS
}

function parseReport(text: string): Reply | undefined {
  if (text.startsWith('//')) {
    const action = /^\/\/ ?action:(.*)$/.exec(text)?.[1]
    return action === undefined ? undefined : { kind: 'action', action }
  }
  const position = parsePosition(text)
  if (position) return position
  const tag = /^q(\d{1,5})$/.exec(text)?.[1]
  if (tag !== undefined) return { kind: 'mark', tag: Number(tag) }
  const capability = CAPABILITY.exec(text)
  if (capability)
    return { kind: 'capability', name: capability[1] ?? '', isPresent: capability[2] === '1' }
  if (text.startsWith('FIRMWARE_NAME:')) return { kind: 'firmware', fields: parseFields(text) }
  if (DAMAGED_OK_TEMPERATURES.test(text)) return { kind: 'damagedOk', text }
  if (BARE_HEATING.test(text)) return { kind: 'busy', reason: 'heating' }
  const temperatures = parseTemperatures(text)
  return temperatures && { kind: 'temperatures', temperatures, isWaiting: / W:/.test(text) }
}

/** M114's `X:… Y:… Z:… E:…` at the start of `text`, or `undefined`. Millimetres. */
export function parsePosition(text: string): Reply | undefined {
  const words = POSITION.exec(text)
  if (!words) return undefined
  const [, x, y, z, e] = words
  return { kind: 'position', position: { x: Number(x), y: Number(y), z: Number(z), e: Number(e) } }
}

/** `T:21.0 /0.0 B:20.5 /60.0` to heaters by name, or `undefined` when the line reports none. Degrees Celsius. */
export function parseTemperatures(text: string): Temperatures | undefined {
  const heaters: Record<string, Temperature> = {}
  let isEmpty = true
  for (const [, letter = '', currentC, targetC] of text.matchAll(HEATER)) {
    heaters[heaterName(letter)] = { currentC: Number(currentC), targetC: Number(targetC) }
    isEmpty = false
  }
  return isEmpty ? undefined : heaters
}

function heaterName(letter: string): string {
  if (letter === 'B') return 'bed'
  if (letter === 'C') return 'chamber'
  return letter === 'T' || letter === 'T0' ? 'hotend' : `hotend${letter.slice(1)}`
}

/** Splits an M115 line at each ` KEY:`, because values contain spaces. */
export function parseFields(text: string): Readonly<Record<string, string>> {
  const fields: Record<string, string> = {}
  const starts = [...text.matchAll(FIELD_START)]
  starts.forEach((start, i) => {
    const end = starts[i + 1]?.index ?? text.length
    fields[start[1] ?? start[2] ?? ''] = text.slice(start.index + start[0].length, end).trim()
  })
  return fields
}

function numberOf(digits: string | undefined): number | undefined {
  return digits === undefined ? undefined : Number(digits)
}
