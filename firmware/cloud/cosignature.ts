/** The witness's line on the newest head of the log it found consistent, as last acknowledged. */

import { z } from 'zod'
import type { Outbox } from './outbox.ts'
import type { AckStatement } from './wire.ts'

const FACT = 'cosignature'
const keptSchema = z.looseObject({ size: z.int() })

/** The size the fleet end cosigned last; 0 before the first. */
export function cosignedSize(outbox: Outbox): number {
  const fact = outbox.fact(FACT)
  return fact === undefined ? 0 : keptSchema.parse(JSON.parse(fact)).size
}

/** True when it is of a newer head than the one that was kept: an old acknowledgement may come again. */
export function keepCosignature(outbox: Outbox, cosig: AckStatement['cosig']): boolean {
  if (!cosig || cosig.size <= cosignedSize(outbox)) return false
  outbox.setFact(FACT, JSON.stringify(cosig))
  return true
}
