/** RepRapFirmware 3 as a row of the table: checked lines without a sequence, so each is proved before it is repeated. */
import type { Codec, Dialect } from '../dialect.ts'
import { checked, type Frame, frameCommand, isTemperatureQuery } from '../marlin/codec.ts'
import { identityBy } from '../marlin/identity.ts'
import { parseReply } from '../marlin/replies.ts'
import type { Reply } from '../reply.ts'
import { defaultTuning } from '../tuning.ts'
import { hearVerified } from '../window/verified.ts'
import { crc16 } from './crc16.ts'

const CRC_DIGITS = 5
/** Version 3 or later: what earlier ones answer was not read. */
const FIRMWARE = /reprapfirmware.* (?:[3-9]|\d{2,})\.\d\S*$/i

/** `N<n> <text>*<CRC-16, five digits>\n`. */
function frameWithCrc(n: number, text: string): string {
  const body = `N${n} ${text}`
  return `${body}*${String(crc16(body)).padStart(CRC_DIGITS, '0')}\n`
}

function codecOf(frame: Frame): Codec {
  const frameChecked = checked(frame)
  return {
    frameCommand: frame,
    frameProgramLine: frameChecked,
    frameRequest: frameChecked,
    acknowledgedBy: text => {
      if (/^M114(?!\d)/.test(text)) return 'position'
      return isTemperatureQuery(text) ? 'temperatures' : 'ok'
    },
    isEmergencyCommand: () => false,
    isEmergencyBare: false,
    lineBreak: '\n',
  }
}

function parseReprapReply(line: string): Reply {
  const text = line.endsWith('\r') ? line.slice(0, -1) : line
  if (/^Emergency Stop/i.test(text)) return { kind: 'fatal', text }
  // Ours, or the tail of a line that noise cut in two: told apart by its text.
  const unknown = /^Error: Bad command: (.*)$/.exec(text)?.[1]
  if (unknown !== undefined) return { kind: 'unknownCommand', text: unknown }
  const reply = parseReply(text)
  if (reply.kind !== 'fatal' || !/^Error: /.test(reply.text)) return reply
  // `Error: ...` is how it refuses one command; an ok follows.
  return { kind: 'refused', text: reply.text, isAcknowledgement: false }
}

export const reprap: Dialect = {
  name: 'reprap',
  tuning: {
    ...defaultTuning,
    bufferLines: 1,
    ringBytes: 255,
    /** A question costs nothing and repeats nothing: asked as soon as an answer is late. */
    probeAfterMs: 300,
    probeBusyAfterMs: 1_000,
    /** No busy lines: homing and heating are silent. */
    silenceMs: 180_000,
    ackTimeoutMs: 300_000,
  },
  rules: { okAfterResend: 'never', historyLines: 0, mark: 'position' },
  codec: codecOf(frameCommand),
  parseReply: parseReprapReply,
  hear: hearVerified,
  opening: {
    bytes: `\n${frameCommand(0, 'M110 N0')}`,
    isAnswer: reply => reply.kind === 'ok',
    needsQuiet: true,
  },
  identification: {
    sync: 'M105',
    ask: 'M115',
    isUnchecked: false,
    identityOf: identityBy('reprap', FIRMWARE),
    learn: (_identity, window) => {
      window.reservedLines = 0
    },
  },
  probe: { kind: 'line' },
  poll: { kind: 'command', text: 'M105' },
  drain: 'M400',
  positionQuery: 'M114',
  stop: {
    // Read in the input stream, ahead of everything queued.
    bytes: () => '\nM112\n',
    isHalted: line => /emergency stop/i.test(line),
    flush: undefined,
  },
  // Its position tells whether the one line in flight was executed.
  reattach: () => 'probe',
}

/** The same where the board's configuration demands a CRC (`M575 P0 S4`). */
export const reprapCrc16: Dialect = {
  ...reprap,
  codec: codecOf(frameWithCrc),
  opening: {
    ...reprap.opening,
    bytes: `\n${frameWithCrc(0, 'M110 N0')}`,
  },
}
