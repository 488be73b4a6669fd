/** Every dialect in front of every board that speaks another: it says so, and has sent nothing but questions. */
import t from 'tap'
import { DIALECT_NAMES } from '../../drivers/dialect.ts'
import { openController, startSimulatedMarlin } from '../../drivers/index.ts'
import { FAST, never, QUICK } from '../fakes/drivers-bench.ts'
import { leapingClock } from '../fakes/link-clock.ts'

/** Patient: it ends when enough was asked, not by the clock. */
const PROBES = { probeBusyAfterMs: 50, maxProbeAfterMs: 50 }
const TUNING = { ...QUICK, ...PROBES, handshakeRetryMs: 50, handshakeAttempts: 400 }
const ENOUGH_LINES = 12
const LONGEST_BOOT_MS = 60_000
/** What asks and moves nothing: numbering, temperatures, position, identity, marks, status. */
const QUESTION = /^\?*(?:N\d+ ?)?(?:M105|M110 N0|M114|M115|M118 q\d+|\$I|STATUS)?(?:\*\d+)?$/

const PAIRS = DIALECT_NAMES.flatMap(board =>
  DIALECT_NAMES.filter(dialect => dialect !== board).map(dialect => ({ board, dialect })),
)

/** What becomes of opening this board as that dialect: a code, and whatever was sent to it beside questions. */
async function outcomeOf({ board, dialect }: (typeof PAIRS)[number]) {
  const clock = leapingClock()
  let received = ''
  await using sim = startSimulatedMarlin({
    ...{ dialect: board, speed: FAST },
    onReceived: bytes => {
      received += Buffer.from(bytes).toString('latin1')
      if (received.split('\n').length > ENOUGH_LINES) clock.leap(LONGEST_BOOT_MS)
    },
  })
  const config = { dialect, port: sim.port, baud: 250_000, tuning: TUNING }
  const ports = { clock, signal: never, onEvent: () => undefined }
  const code = await openController(config, ports).then(
    controller => controller[Symbol.asyncDispose]().then(() => 'opened'),
    (error: { readonly code?: string }) => error.code,
  )
  const orders = received.split('\n').filter(line => !QUESTION.test(line))
  return { board, dialect, code, orders, isAsked: received !== '' }
}

t.test('no board is another, and none is told to do anything before it is known', async t => {
  const code = 'DRIVER_NOT_RECOGNISED'
  t.strictSame(
    await Promise.all(PAIRS.map(outcomeOf)),
    PAIRS.map(pair => ({ ...pair, code, orders: [], isAsked: true })),
  )
})
