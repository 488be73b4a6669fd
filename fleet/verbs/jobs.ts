/** `fleet jobs send`: a sealed file offered to a printer. */

import { readFile } from 'node:fs/promises'
import { topicOf } from '#cloud'
import { makeOffer } from '../jobs.ts'
import { openTenant } from '../tenant.ts'
import { dial, expectNumber, openStore, say, usage, type Verb } from '../verb.ts'

export const jobs: Verb = {
  summary: 'send a sealed file to a printer',
  synopsis: [
    'jobs send FILE --to SERIAL --broker URL [--priority N] [--grant FILE]... [--url https://HOST:PORT]',
  ],
  description: `Offers FILE; the printer fetches it block by block from a worker (fleet serve), which must be able to read FILE.

  --priority N   0 to 9, higher first
  --grant FILE   a grant that is not in the file
  --url BASE     also by HTTPS, once and only to this printer: where a worker has its --downloads`,
  run: async (values, [word, path], signal) => {
    if (word !== 'send' || path === undefined || values.to === '')
      usage('expected: jobs send FILE --to SERIAL')
    const tenant = await openTenant(values.tenant)
    using store = openStore(values)
    const grants = await Promise.all(values.grant.map(file => readFile(file)))
    const { offer, envelope } = await makeOffer(store, {
      ...{ path, device: values.to, tenant: tenant.id, atMs: Date.now(), grants },
      publisher: await tenant.key('publisher'),
      downloads: values.url,
      priority: expectNumber(values.priority, 'priority', [0, 9]),
    })
    await using link = await dial(values, tenant, signal)
    await link.publish({ topic: topicOf(values.to, 'job'), payload: envelope })
    say(`offer ${offer.offer}: ${offer.sizeBytes} bytes for ${values.to}`)
  },
}
