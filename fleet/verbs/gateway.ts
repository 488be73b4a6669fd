/** `fleet gateway`: slicers upload here as they do to OctoPrint. */

import { systemClock } from '#lib/clock.ts'
import { FLEET } from '../broker-names.ts'
import { issueServer } from '../ca.ts'
import { startGateway } from '../gateway.ts'
import { issueKey } from '../holder-keys.ts'
import { openTenant } from '../tenant.ts'
import { dial, expectNumber, openStore, say, usage, type Verb } from '../verb.ts'

const MAX_FILE_BYTES = 512 * 1024 * 1024
const MAX_SEALING = 2

export const gateway: Verb = {
  summary: 'take uploads from slicers, seal them, send them to a printer',
  synopsis: [
    'gateway key NAME',
    'gateway --broker mqtts://HOST:PORT [--port PORT] [--host ADDRESS] [--uses N]',
  ],
  description: `Speaks OctoPrint's upload API over TLS (certificate of the tenant's authority). In the slicer choose the host type OctoPrint, the
address https://HOST:PORT/p/SERIAL and a key from "gateway key", which is shown once; removing api-keys/NAME revokes it. The printer must be
known: see "fleet help printer". G-code is sealed while it arrives; its plaintext is never written.

"Upload" keeps the sealed file in files/SERIAL/ (fleet jobs send) for eight days. "Upload and print" sends it; whether it starts by itself is
the printer's own policy.

  --host ADDRESS  listen here; 127.0.0.1 otherwise
  --port PORT     0 takes a free one
  --uses N        prints allowed of each file; 1 otherwise, 0 without a limit`,
  run: async (values, [word, name], signal) => {
    const tenant = await openTenant(values.tenant)
    if (word === 'key' && name !== undefined)
      return say(await issueKey(values.tenant, 'api-keys', name))
    if (word !== undefined) usage('expected: gateway, or gateway key NAME')
    await using stack = new AsyncDisposableStack()
    const store = stack.use(openStore(values))
    const gateway = stack.use(
      await startGateway({
        ...{ tenant, store, clock: systemClock, host: values.host },
        port: expectNumber(values.port, 'port', [0, 65_535]),
        server: issueServer(tenant.authority, ['localhost', values.host], Date.now()),
        ...{ maxFileBytes: MAX_FILE_BYTES, maxSealing: MAX_SEALING },
        uses: expectNumber(values.uses, 'uses', [0, 1_000_000]),
        publish: async publication => {
          await using link = await dial(values, tenant, signal, `fleet-gateway-${process.pid}`)
          await link.publish(publication)
        },
        onEvent: ({ atMs, printer, code, message }) => {
          if (code !== null) store.alert(printer || FLEET, atMs, code, message)
          say(JSON.stringify({ atMs, printer, code, message }))
        },
      }),
    )
    say(`gateway at https://${values.host}:${gateway.port}`)
    await new Promise<void>(resolve =>
      signal.addEventListener('abort', () => resolve(), { once: true }),
    )
  },
}
