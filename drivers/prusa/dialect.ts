/** Prusa's two firmwares as rows of the table: the 8-bit MK3 and Buddy (MINI, MK4, XL, Core One). */
import type { Codec, Dialect } from '../dialect.ts'
import { marlinCodec } from '../marlin/codec.ts'
import { marlin, WITHOUT_ECHO } from '../marlin/dialect.ts'
import { identityBy } from '../marlin/identity.ts'
import { parseReply } from '../marlin/replies.ts'
import { START } from '../reply.ts'
import { defaultTuning } from '../tuning.ts'

const prusaCodec: Codec = { ...marlinCodec, isEmergencyCommand: () => false }

/** Power panic: its supply fails, and whatever is sent from here on is dropped (power_panic.cpp). */
const POWER_PANIC = /^INT4\r?$/

export const prusa: Dialect = {
  ...marlin,
  name: 'prusa',
  parseReply: line => (POWER_PANIC.test(line) ? START : parseReply(line)),
  // After a crash or a filament change it goes back to lines it had acknowledged.
  rules: WITHOUT_ECHO,
  codec: prusaCodec,
  identification: {
    ...marlin.identification,
    identityOf: identityBy('prusa', /^(?!.*buddy).*prusa/i),
  },
}

// Compares M112, M108 and M410 with the bare word: a number in front hides them.
const buddyCodec: Codec = { ...marlinCodec, isEmergencyBare: true }

export const buddy: Dialect = {
  ...marlin,
  name: 'buddy',
  /** BUFSIZE 8 and a USB receive buffer (Prusa-Firmware-Buddy Configuration_adv.h). */
  tuning: { ...defaultTuning, bufferLines: 8, ringBytes: 255 },
  rules: { okAfterResend: 'maybe', historyLines: 0, mark: 'echo' },
  codec: buddyCodec,
  identification: { ...marlin.identification, identityOf: identityBy('buddy', /buddy/i) },
  stop: { ...marlin.stop, bytes: () => '\nM112\n' },
}
