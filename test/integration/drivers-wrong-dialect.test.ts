/** Every dialect in front of every board that speaks another: it says so, and has sent nothing but questions. */
import t from 'tap'
import { systemClock } from '#lib/clock.ts'
import { DIALECT_NAMES } from '../../drivers/dialect.ts'
import { openController, startSimulatedMarlin } from '../../drivers/index.ts'
import { FAST, never, QUICK } from '../fakes/drivers-bench.ts'

const TUNING = { ...QUICK, handshakeRetryMs: 100, handshakeAttempts: 4 }
/** What asks and moves nothing: numbering, temperatures, position, identity, marks, status. */
const QUESTION = /^\??(?:N\d+ ?)?(?:M105|M110 N0|M114|M115|M118 ~\d+|\$I)?(?:\*\d+)?$/

t.jobs = DIALECT_NAMES.length
for (const board of DIALECT_NAMES)
  t.test(`a ${board} board is no other`, { buffered: true }, async t => {
    const others = DIALECT_NAMES.filter(name => name !== board)
    const outcomes = await Promise.all(
      others.map(async dialect => {
        let received = ''
        await using sim = startSimulatedMarlin({
          ...{ dialect: board, speed: FAST },
          onReceived: bytes => {
            received += Buffer.from(bytes).toString('latin1')
          },
        })
        const config = { dialect, port: sim.port, baud: 250_000, tuning: TUNING }
        const ports = { clock: systemClock, signal: never, onEvent: () => undefined }
        const code = await openController(config, ports).then(
          controller => controller[Symbol.asyncDispose]().then(() => 'opened'),
          (error: { readonly code?: string }) => error.code,
        )
        const orders = received.split('\n').filter(line => !QUESTION.test(line))
        return { dialect, code, orders, isAsked: received.length > 0 }
      }),
    )
    t.strictSame(
      outcomes,
      others.map(dialect => ({
        dialect,
        ...{ code: 'DRIVER_NOT_RECOGNISED', orders: [], isAsked: true },
      })),
    )
  })
