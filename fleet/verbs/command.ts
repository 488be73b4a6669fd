/** `fleet command`: one signed verb to one printer, and its answer. */

import { topicOf } from '#cloud'
import { systemClock } from '#lib/clock.ts'
import { VERBS } from '#lib/command-statement.ts'
import { awaitAnswer, signCommand } from '../commands.ts'
import { openTenant } from '../tenant.ts'
import { dial, openStore, say, usage, type Verb } from '../verb.ts'

export const command: Verb = {
  summary: 'send a signed command and wait for the answer',
  synopsis: ['command VERB --to SERIAL --broker URL [--arg NAME=VALUE]... [--both]'],
  description: `Verbs: ${VERBS.join(', ')}.

Prints the printer's signed answer, also when it refused: see "outcome". A worker (fleet serve) must be receiving.

  --arg NAME=VALUE  an argument of the verb:
                      job.cancel job=ID · lock security=true · hold.set hold=true|false
                      policy.set autoStart=ask|start onInterruption=fail|ask · drill name=TEXT
                      log.export from=N to=N (fleet events SERIAL --segments shows them)
  --both            sign with both command authorities: wipe, retire, reuse, and unlock after a security lock`,
  run: async (values, [word], signal) => {
    const verb = VERBS.find(each => each === word)
    if (verb === undefined || values.to === '') usage('expected a verb and --to SERIAL')
    const tenant = await openTenant(values.tenant)
    using store = openStore(values)
    const first = await tenant.key('security')
    const keys = values.both ? [first, await tenant.key('second')] : [first]
    const { id, envelope } = signCommand(
      {
        ...{ device: values.to, tenant: tenant.id, verb, issuer: 'fleet' },
        ...{ args: argsOf(values.arg), atMs: Date.now() },
      },
      keys,
    )
    await using link = await dial(values, tenant, signal)
    const after = store.contiguous(values.to, 'resp')
    await link.publish({ topic: topicOf(values.to, 'cmd'), payload: envelope, expiryS: 600 })
    const answer = { device: values.to, id, after }
    say(JSON.stringify(await awaitAnswer(store, answer, systemClock, signal)))
  },
}

function argsOf(pairs: readonly string[]): Record<string, string | boolean> {
  return Object.fromEntries(
    pairs.map(pair => {
      const [name = '', value = ''] = pair.split('=')
      return [name, value === 'true' ? true : value === 'false' ? false : value]
    }),
  )
}
