/** `fleet web`: a page that only looks. */

import { systemClock } from '#lib/clock.ts'
import { issueServer } from '../ca.ts'
import { issueKey } from '../holder-keys.ts'
import { openTenant } from '../tenant.ts'
import { expectNumber, openStore, say, usage, type Verb } from '../verb.ts'
import { startWebServer } from '../web-server.ts'

export const web: Verb = {
  summary: 'show the printers on a web page, read only',
  synopsis: ['web key NAME', 'web [--port PORT] [--host ADDRESS]'],
  description: `Live printers, temperatures, progress, events and how far each log is proven, over HTTPS. Log in with a key from "web key", which is
shown once; removing web-keys/NAME revokes it for new logins.

  --host ADDRESS  listen here; 127.0.0.1 otherwise
  --port PORT     0 takes a free one`,
  run: async (values, [word, name], signal) => {
    const { authority } = await openTenant(values.tenant)
    if (word === 'key' && name !== undefined)
      return say(await issueKey(values.tenant, 'web-keys', name))
    if (word !== undefined) usage('expected: web, or web key NAME')
    using store = openStore(values)
    await using server = await startWebServer({
      ...{ tenantDirectory: values.tenant, store, clock: systemClock, host: values.host },
      server: issueServer(authority, ['localhost', values.host], Date.now()),
      port: expectNumber(values.port, 'port', [0, 65_535]),
    })
    say(`https://${values.host}:${server.port}`)
    await new Promise<void>(resolve =>
      signal.addEventListener('abort', () => resolve(), { once: true }),
    )
  },
}
