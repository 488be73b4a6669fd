/** A broker may tell the end of a session late, when another has followed: such a death is not the printer's (Sparkplug's bdSeq rule). Pure. */

import { z } from 'zod'

const stateSchema = z.looseObject({
  online: z.boolean(),
  /** One life of the courier, and which of its links. */
  session: z.int(),
  link: z.int().default(0),
})

/** True when `told` is the end of another session than the one `known` is of. */
export function isStaleDeath(told: unknown, known: unknown): boolean {
  const [death, last] = [told, known].map(each => stateSchema.safeParse(each).data)
  if (!death || !last || death.online) return false
  return death.session !== last.session || death.link !== last.link
}
