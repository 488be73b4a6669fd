/** From a file to a frozen configuration: read once, at start. */

import { readFile, stat } from 'node:fs/promises'
import type { z } from 'zod'
import { ConfigError, configFault } from './errors.ts'
import { type Config, configSchema } from './schema.ts'

/** A configuration is a page or two; more is the wrong file. */
const MAX_CONFIG_BYTES = 256 * 1024
const MAX_ISSUES_TOLD = 8

/**
 * Reads the JSON file at `path`.
 * @throws ConfigError CONFIG_UNREADABLE, CONFIG_INVALID
 */
export async function loadConfig(path: string): Promise<Config> {
  let text: string
  try {
    const { size } = await stat(path)
    if (size > MAX_CONFIG_BYTES) throw new RangeError(`${size} bytes`)
    text = await readFile(path, 'utf8')
  } catch (cause) {
    throw configFault('CONFIG_UNREADABLE', `${path}: ${reasonOf(cause)}`, cause)
  }
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    throw configFault('CONFIG_INVALID', `${path}: not JSON: ${reasonOf(cause)}`, cause)
  }
  return parseConfig(value, path)
}

/**
 * Checks a value against the schema, fills the defaults and freezes the whole. Pure.
 * `origin` begins the message of the error.
 * @throws ConfigError CONFIG_INVALID naming each key path and what is expected there.
 */
export function parseConfig(value: unknown, origin = 'configuration'): Config {
  const parsed = configSchema.safeParse(value)
  if (parsed.success) return freezeDeep(parsed.data)
  const issues = parsed.error.issues.slice(0, MAX_ISSUES_TOLD).map(describeIssue)
  throw new ConfigError('CONFIG_INVALID', `${origin}: ${issues.join('; ')}`)
}

function describeIssue(issue: z.core.$ZodIssue): string {
  const path = issue.path.length === 0 ? '(top)' : issue.path.join('.')
  if (issue.code === 'unrecognized_keys')
    return `${path}: unknown key ${issue.keys.map(key => JSON.stringify(key)).join(', ')}`
  return `${path}: ${issue.message.replace(/^Invalid input: /, '').replace(/^[A-Z]/, first => first.toLowerCase())}`
}

function reasonOf(cause: unknown): string {
  if (!(cause instanceof Error)) return 'unknown'
  return 'code' in cause ? String(cause.code) : cause.message
}

function freezeDeep<T>(value: T): T {
  if (typeof value !== 'object' || value === null) return value
  for (const part of Object.values(value)) freezeDeep(part)
  return Object.freeze(value)
}
