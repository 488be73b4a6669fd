/** `fleet sparkplug`: what is received, told again as Sparkplug B. */

import { parseEndpoint } from '#cloud'
import { systemClock } from '#lib/clock.ts'
import { isSparkplugId } from '../sparkplug/edge-node.ts'
import { SparkplugFace } from '../sparkplug/face.ts'
import { openTenant } from '../tenant.ts'
import { openStore, say, usage, type Verb } from '../verb.ts'

export const sparkplug: Verb = {
  summary: 'tell what is received again as Sparkplug B 3.0',
  synopsis: ['sparkplug --broker mqtts://HOST:PORT [--group ID] [--edge ID]'],
  description: `One edge node, its devices the printers: births, data by alias when something changed, deaths, rebirth on request. What is told was
received and verified by a worker (fleet serve) before. A host can ask for a rebirth and nothing else: printers take signed commands only.

  --group ID   group of the edge node; the tenant's name otherwise
  --edge ID    name of the edge node; "fleet" otherwise`,
  run: async (values, operands, signal) => {
    const tenant = await openTenant(values.tenant)
    const node = { group: values.group ?? tenant.name, edge: values.edge }
    if (operands.length > 0) usage('expected: sparkplug')
    if (!isSparkplugId(node.group) || !isSparkplugId(node.edge))
      usage('--group, --edge: expected 1 to 64 characters, without + / #')
    using store = openStore(values)
    const face = new SparkplugFace({
      ...{ node, store, clock: systemClock, random: Math.random },
      endpoints: [parseEndpoint(values.broker)],
      ...{ ca: tenant.authority.certPem, identity: tenant.identity },
      onLink: link => say(`telling spBv1.0/${node.group}/+/${node.edge} to ${link.endpoint}`),
      onRefused: error => process.stderr.write(`fleet: ${error.code}: ${error.message}\n`),
    })
    await face.run(signal)
  },
}
