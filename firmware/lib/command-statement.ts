/** What a signed command says and what its signed result says: the words both ends agree on. Pure. */

import { z } from 'zod'

export const COMMAND_TYPE = 'application/vnd.mpf.command+json'
export const RESULT_TYPE = 'application/vnd.mpf.command-result+json'

/** Longest life of a command: TRUST and CLOUD 3.8. */
export const MAX_COMMAND_LIFE_MS = 15 * 60_000

export const ROLES = ['operator', 'maintainer', 'network', 'security', 'updater'] as const
export type Role = (typeof ROLES)[number]

/** The closed list. Nothing else exists; there is no shell. */
export const VERBS = [
  'print.pause',
  'print.resume',
  'job.cancel',
  'lock',
  'unlock',
  'wipe',
  'retire',
  'reuse',
  'policy.set',
  'cfg.reload',
  'hold.set',
  'drill',
  'log.export',
  'cert.renew',
  'rebirth',
  'ota.check',
] as const
export type Verb = (typeof VERBS)[number]

/** Who may ask for what (TRUST: roles). */
export const ROLE_OF_VERB: Readonly<Record<Verb, Role>> = {
  'print.pause': 'operator',
  'print.resume': 'operator',
  'job.cancel': 'operator',
  lock: 'security',
  unlock: 'security',
  wipe: 'security',
  retire: 'security',
  reuse: 'security',
  'policy.set': 'security',
  'cfg.reload': 'maintainer',
  'hold.set': 'security',
  drill: 'security',
  'log.export': 'security',
  'cert.renew': 'network',
  rebirth: 'network',
  'ota.check': 'updater',
}

const argument = z.union([z.string().max(256), z.number(), z.boolean()])

export const commandSchema = z.strictObject({
  v: z.literal(1),
  /** Unique; a command is carried out once, however often it arrives. */
  id: z.string().regex(/^[A-Za-z0-9._-]{1,64}$/),
  /** The printer's serial. */
  dev: z.string().min(1).max(64),
  ten: z.string().max(64),
  verb: z.enum(VERBS),
  args: z.record(z.string().max(32), argument),
  role: z.enum(ROLES),
  iss: z.string().min(1).max(64),
  /** Seconds since 1970. */
  nbf: z.int().min(0),
  exp: z.int().min(0),
  /** Grows with each command of this issuer to this printer. */
  ctr: z.int().min(1),
})
export type CommandStatement = z.infer<typeof commandSchema>

export const resultSchema = z.strictObject({
  v: z.literal(1),
  /** Null when the command could not even be read. */
  id: z.string().nullable(),
  dev: z.string(),
  verb: z.string().nullable(),
  outcome: z.enum(['done', 'refused', 'failed', 'handed-over']),
  code: z.string().nullable(),
  message: z.string(),
  atMs: z.int(),
})
export type CommandResult = z.infer<typeof resultSchema>
