/** Smoothieware as a row of the table: numbered and checked, asks again by `rs` without an acknowledgement, plans after it. */
import type { Codec, Dialect } from '../dialect.ts'
import { marlinCodec } from '../marlin/codec.ts'
import { marlin } from '../marlin/dialect.ts'
import { identityBy } from '../marlin/identity.ts'
import { defaultTuning } from '../tuning.ts'
import { parseSmoothieReply } from './replies.ts'

const smoothieCodec: Codec = {
  ...marlinCodec,
  isEmergencyCommand: () => false,
}

/** Halts and empties the receive buffer, whatever blocks the main loop (SerialConsole.cpp). */
const HALT = '\x18'

export const smoothie: Dialect = {
  ...marlin,
  name: 'smoothie',
  hasMeatPack: false,
  tuning: {
    ...defaultTuning,
    /** Its receive ring holds 256 bytes and lines are taken straight from it. */
    bufferLines: 6,
    ringBytes: 255,
    /** No busy lines: a homing or a heating wait is silent, as long as the longest of them takes. */
    silenceMs: 180_000,
    ackTimeoutMs: 300_000,
    probeBusyAfterMs: 8_000,
  },
  // No line twice, ever: going back too far is refused by the firmware, so it is harmless. Words it does not know are acknowledged in
  // silence, so an M118 would prove nothing.
  rules: { okAfterResend: 'never', historyLines: 100, mark: 'temperatures' },
  codec: smoothieCodec,
  parseReply: parseSmoothieReply,
  identification: {
    ...marlin.identification,
    identityOf: identityBy('smoothie', /smoothie/i),
    learn: (_identity, window) => {
      // The halt byte is read in the receive interrupt: no slot need be kept free for a stop.
      window.reservedLines = 0
    },
  },
  stop: {
    bytes: () => `${HALT}\nM112\n`,
    isHalted: line => /^(?:HALTED|ALARM:)|Emergency Stop Requested/.test(line),
    flush: undefined,
  },
}
