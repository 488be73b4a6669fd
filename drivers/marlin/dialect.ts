/** Marlin 2 as a row of the table of dialects. */
import type { ControllerIdentity } from '../controller.ts'
import type { Dialect } from '../dialect.ts'
import { defaultTuning } from '../tuning.ts'
import { hearNumbered } from '../window/go-back-n.ts'
import type { SendWindow, WindowRules } from '../window/send-window.ts'
import { frameCommand, marlinCodec, RESET_NUMBERING } from './codec.ts'
import { identityBy, learnEmergencyParser } from './identity.ts'
import { parseReply } from './replies.ts'

/** Bare, on a line of its own, so that the emergency parser sees it whatever came before; numbered after it. */
export function marlinStop(next: number): string {
  return `\nM112\n${frameCommand(next, 'M112')}`
}

/** Any reply but this number's neighbours is out of sequence, and its refusal names the last line received. */
const FAR_AHEAD_LINES = 5_000

/** A line that is out of sequence for every counter near ours. */
export function outOfSequence(next: number): string {
  return `\n${frameCommand(next + FAR_AHEAD_LINES, 'M105')}`
}

/**
 * Of a Marlin that has no M118 to count on: what proves the count is an M105, whose `ok T:` is nobody else's. Where that was guessed
 * wrong the firmware asks for a line that had been acknowledged (PrusaLink keeps as many).
 */
export const WITHOUT_ECHO: WindowRules = {
  okAfterResend: 'always',
  historyLines: 100,
  mark: 'temperatures',
}

/** Who announces nothing may be a Marlin 1.0, which acknowledges words it does not know in silence, M118 among them. */
function learn(identity: ControllerIdentity, window: SendWindow<unknown>): void {
  learnEmergencyParser(identity, window)
  const isOld = Object.keys(identity.capabilities).length === 0
  if (isOld && window.rules.mark === 'echo') window.rules = WITHOUT_ECHO
}

export const marlin: Dialect = {
  name: 'marlin',
  tuning: defaultTuning,
  rules: { okAfterResend: 'always', historyLines: 0, mark: 'echo' },
  codec: marlinCodec,
  parseReply,
  hear: hearNumbered,
  hasMeatPack: true,
  opening: {
    // The line feed ends whatever half line the port's last user left.
    bytes: `\n${RESET_NUMBERING}`,
    isAnswer: reply => reply.kind === 'ok',
    needsQuiet: false,
  },
  identification: {
    sync: 'M105',
    ask: 'M115',
    isUnchecked: false,
    // Prusa's name says that it is based on Marlin.
    identityOf: identityBy('marlin', /^(?!prusa).*marlin/i),
    learn,
  },
  probe: { kind: 'line' },
  poll: { kind: 'command', text: 'M105' },
  drain: 'M400',
  positionQuery: 'M114',
  stop: {
    bytes: marlinStop,
    isHalted: line => line.includes('Printer halted'),
    flush: undefined,
  },
  reattach: outOfSequence,
}
