/** Klipper's pseudo-terminal as a row of the table: no numbers, no checksums, one acknowledgement a line, empty ones included. */
import type { Codec, Dialect } from '../dialect.ts'
import { checked, isTemperatureQuery } from '../marlin/codec.ts'
import { identityBy } from '../marlin/identity.ts'
import { START } from '../reply.ts'
import { defaultTuning } from '../tuning.ts'
import { hearCounted } from '../window/counted.ts'
import { parseKlipperReply, STATE_QUESTION } from './replies.ts'

const frameLine = checked((_n, text) => `${text}\n`)

const klipperCodec: Codec = {
  frameCommand: frameLine,
  frameProgramLine: frameLine,
  frameRequest: frameLine,
  acknowledgedBy: text => (isTemperatureQuery(text) ? 'temperatures' : 'ok'),
  isEmergencyCommand: () => false,
  isEmergencyBare: false,
  // An empty line is acknowledged, so none is ever sent.
  lineBreak: '',
}

export const klipper: Dialect = {
  name: 'klipper',
  tuning: {
    ...defaultTuning,
    /** Beyond 20 pending lines it stops reading, and M112 no longer overtakes (klippy/gcode.py): 14 and a probe or two. */
    bufferLines: 14,
    /** What a pseudo-terminal's line discipline holds. */
    ringBytes: 4095,
    /** Nothing is lost on a pseudo-terminal; what takes long (homing, a mesh) takes its time in silence. */
    probeAfterMs: 10_000,
    probeBusyAfterMs: 30_000,
    maxProbeAfterMs: 60_000,
    silenceMs: 180_000,
    ackTimeoutMs: 300_000,
    markEveryLines: 4_096,
  },
  rules: { okAfterResend: 'never', historyLines: 0, mark: 'temperatures' },
  codec: klipperCodec,
  parseReply: parseKlipperReply,
  hear: hearCounted,
  opening: {
    // M105 and M115 are answered in a shutdown too, as if all were well; this one tells why it is not ready.
    bytes: STATE_QUESTION,
    isAnswer: reply => reply === START,
    needsQuiet: true,
  },
  identification: {
    sync: undefined,
    ask: 'M115',
    isUnchecked: false,
    identityOf: identityBy('klipper', /klipper/i),
    learn: (_identity, window) => {
      window.reservedLines = 0
    },
  },
  probe: { kind: 'line' },
  poll: { kind: 'command', text: 'M105' },
  drain: 'M400',
  positionQuery: 'M114',
  stop: {
    bytes: () => 'M112\n',
    isHalted: line => /shutdown/i.test(line),
    flush: undefined,
  },
  // The host behind the terminal restarts with it: nothing is left to continue.
  reattach: () => undefined,
}
