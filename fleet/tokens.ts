/** Enrolment tokens: each for one printer of one tenant in one region, once, for a day. Only their hashes are kept. */

import { createHash, randomBytes } from 'node:crypto'
import { DatabaseSync } from 'node:sqlite'
import { z } from 'zod'
import { FleetError } from './errors.ts'

export interface TokenBinding {
  readonly serial: string
  readonly tenant: string
  readonly region: string
}

const LIFE_MS = 86_400_000
const SCHEMA =
  'CREATE TABLE IF NOT EXISTS tokens (digest TEXT PRIMARY KEY, binding TEXT NOT NULL, expires_ms INTEGER NOT NULL, used_ms INTEGER) STRICT'

export class Tokens implements Disposable {
  readonly #database: DatabaseSync

  constructor(path: string) {
    this.#database = new DatabaseSync(path, { timeout: 5000 })
    this.#database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL')
    this.#database.exec(SCHEMA)
  }

  [Symbol.dispose](): void {
    this.#database.close()
  }

  /** 256 random bits, shown once. */
  issue(binding: TokenBinding, atMs: number): string {
    const token = randomBytes(32).toString('base64url')
    this.#database
      .prepare('INSERT INTO tokens VALUES (?, ?, ?, NULL)')
      .run(digestOf(token), textOf(binding), atMs + LIFE_MS)
    return token
  }

  /** Uses a token up. @throws FleetError FLEET_TOKEN when it is unknown, used, expired or bound to something else */
  use(token: string, binding: TokenBinding, atMs: number): void {
    // One statement: of two requests with one token, one finds it unused.
    const { changes } = this.#database
      .prepare(
        'UPDATE tokens SET used_ms = ? WHERE digest = ? AND binding = ? AND used_ms IS NULL AND expires_ms >= ?',
      )
      .run(atMs, digestOf(token), textOf(binding), atMs)
    if (changes !== 1) throw new FleetError('FLEET_TOKEN', this.#reason(token, binding, atMs))
  }

  /** Whether this printer was ever enrolled with a token: what a factory certificate alone may recover. */
  wasUsedBy(binding: TokenBinding): boolean {
    const found = this.#database
      .prepare('SELECT 1 FROM tokens WHERE binding = ? AND used_ms IS NOT NULL')
      .get(textOf(binding))
    return found !== undefined
  }

  #reason(token: string, binding: TokenBinding, atMs: number): string {
    const row = this.#database.prepare('SELECT * FROM tokens WHERE digest = ?').get(digestOf(token))
    const found = z
      .object({ binding: z.string(), expires_ms: z.int(), used_ms: z.int().nullable() })
      .safeParse(row).data
    if (!found) return 'unknown token'
    if (found.binding !== textOf(binding)) return 'token for another printer, tenant or region'
    if (found.used_ms !== null) return 'token used before'
    return found.expires_ms < atMs ? 'token expired' : 'unknown token'
  }
}

function digestOf(token: string): string {
  return createHash('sha256').update(token).digest('hex')
}

function textOf({ serial, tenant, region }: TokenBinding): string {
  return JSON.stringify([serial, tenant, region])
}
