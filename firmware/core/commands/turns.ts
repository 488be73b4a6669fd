/** Which commands wait for which: those that touch the same thing, one after the other as they came; nobody else for anybody. */

import type { Verb } from '#lib/command-statement.ts'

/**
 * What a verb that takes its time leaves in between. The print: a resume behind a pause that still drains. What the printer
 * keeps: a later `reuse` never overtakes a wipe. A cancel ends a pause instead of waiting for it, and the others are done at once.
 */
const TURN_OF_VERB: Readonly<Partial<Record<Verb, 'print' | 'kept'>>> = {
  'print.pause': 'print',
  'print.resume': 'print',
  wipe: 'kept',
  retire: 'kept',
  reuse: 'kept',
  'policy.set': 'kept',
  'cfg.reload': 'kept',
  'hold.set': 'kept',
  drill: 'kept',
}

/** Carries `work` out when its verb's turn has come. */
export type Turns = <T>(verb: Verb, work: () => Promise<T>) => Promise<T>

export function createTurns(): Turns {
  const tails = new Map<string, Promise<unknown>>()
  return (verb, work) => {
    const turn = TURN_OF_VERB[verb]
    if (turn === undefined) return work()
    const before = tails.get(turn)
    const done = before === undefined ? work() : before.then(work)
    const tail = done
      .catch(() => undefined)
      .finally(() => {
        if (tails.get(turn) === tail) tails.delete(turn)
      })
    tails.set(turn, tail)
    return done
  }
}
