/** The policies a signed command may set. Pure. */

import { z } from 'zod'

/** From strict to weak. */
export const POLICIES = {
  autoStart: ['ask', 'start'],
  onInterruption: ['fail', 'ask'],
} as const

export type PolicyName = keyof typeof POLICIES
export type PolicyValue<P extends PolicyName> = (typeof POLICIES)[P][number]

/** One policy or both. */
export const policyArgs = z
  .strictObject({
    autoStart: z.enum(POLICIES.autoStart).exactOptional(),
    onInterruption: z.enum(POLICIES.onInterruption).exactOptional(),
  })
  .refine(args => Object.keys(args).length > 0)

export function isWeaker(name: PolicyName, from: string, to: string): boolean {
  const values: readonly string[] = POLICIES[name]
  return values.indexOf(to) > values.indexOf(from)
}
