/** grbl 1.1 and grblHAL as rows of the table: counted characters, realtime bytes, lost acknowledgements found by `?`. */
import type { ControllerIdentity } from '../controller.ts'
import type { CheckMode, Dialect, DialectName } from '../dialect.ts'
import type { Reply } from '../reply.ts'
import { defaultTuning } from '../tuning.ts'
import { hearCounted } from '../window/counted.ts'
import type { SendWindow } from '../window/send-window.ts'
import { grblCodec } from './codec.ts'
import { SOFT_LIMIT } from './codes.ts'
import { parseGrblReply } from './replies.ts'

const HOLD = '!'
const SOFT_RESET = '\x18'
/** `$C` (grbl/doc/markdown/interface.md): parses, moves and switches nothing. It is left by the reset that `$C` would make as well; only the byte needs no turn in the queue, and twice is once. */
const CHECK_MODE: CheckMode = {
  enter: '$C',
  state: 'Check',
  leave: SOFT_RESET,
  isRefusal: halt => halt.startsWith(`${SOFT_LIMIT} `),
}

function identityOf(
  dialect: DialectName,
  replies: readonly Reply[],
): ControllerIdentity | undefined {
  const version = replies.flatMap(reply =>
    reply.kind === 'build' && reply.version !== undefined ? [reply.version] : [],
  )[0]
  if (version === undefined) return undefined
  const named = replies.flatMap(reply => (reply.kind === 'firmware' ? [reply.fields] : []))[0]
  const name = named?.FIRMWARE_NAME ?? 'Grbl'
  if (/grblhal/i.test(name) !== (dialect === 'grblhal')) return undefined
  return {
    dialect,
    firmware: `${name} ${version}`,
    machine: '',
    uuid: undefined,
    capabilities: { HOST_ACTION_COMMANDS: false },
  }
}

/** `[OPT:V,15,128]`: the last number is what its receive buffer holds, one byte of which its ring cannot use. */
function learnBuffers(
  _identity: ControllerIdentity,
  window: SendWindow<unknown>,
  replies: readonly Reply[],
): void {
  for (const reply of replies)
    if (reply.kind === 'build' && reply.receiveBytes !== undefined)
      window.ringBytes = Math.max(1, reply.receiveBytes - 1)
  window.reservedLines = 0
}

function grblRow(name: 'grbl' | 'grblhal', isNumbered: boolean): Dialect {
  return {
    name,
    tuning: {
      ...defaultTuning,
      /** Bytes are what counts; lines only bound what a short program could pile up. */
      bufferLines: 32,
      /** A status report answers at once, even in a homing cycle: nothing else may take long in silence. */
      silenceMs: 6_000,
      ackTimeoutMs: 180_000,
    },
    rules: { okAfterResend: 'never', historyLines: 0, mark: 'none' },
    codec: grblCodec({ isNumbered }),
    parseReply: parseGrblReply,
    hear: hearCounted,
    opening: {
      // Asked how it is as well: in check mode grbl does not say who it is, and grblHAL would print nothing.
      bytes: '\n?',
      isAnswer: reply => reply.kind === 'ok',
      needsQuiet: true,
      cure: reply =>
        reply.kind === 'status' && reply.state === CHECK_MODE.state ? CHECK_MODE.leave : undefined,
    },
    identification: {
      sync: undefined,
      ask: '$I',
      isUnchecked: true,
      identityOf: replies => identityOf(name, replies),
      learn: learnBuffers,
    },
    probe: { kind: 'bytes', bytes: '?' },
    poll: { kind: 'status' },
    drain: 'G4 P0.01',
    positionQuery: undefined,
    stop: {
      bytes: () => `${HOLD}${SOFT_RESET}`,
      isHalted: line => /^(?:Grbl|ALARM:)/i.test(line),
      flush: { hold: HOLD, reset: SOFT_RESET },
    },
    checkMode: CHECK_MODE,
    // What arrived before the cable went cannot be told: its lines have no numbers that anything checks.
    reattach: () => undefined,
  }
}

export const grbl: Dialect = grblRow('grbl', false)
export const grblhal: Dialect = grblRow('grblhal', true)
