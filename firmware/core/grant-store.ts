/** Grants that came apart from their files, by the manifest they open. Unverified here: admission verifies each before it counts. */

import { createHash } from 'node:crypto'
import { mkdir, readdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { writeFileAtomically } from '#lib/atomic-file.ts'
import { decodeBase64url } from '#mpf'
import { CoreError, coreFault } from './errors.ts'

/** SPEC 4.4 bounds the wrapped keys at 4,096 units; a grant is not much more. */
export const MAX_GRANT_FILE_BYTES = 16 * 1024
/** Of one manifest: a renewed grant does not displace a good one, and junk cannot fill the disk. */
const GRANTS_A_MANIFEST = 8
const MANIFESTS_KEPT = 512
const SUFFIX = '.mpfg'

const payloadSchema = z.looseObject({ mfd: z.string().regex(/^[A-Za-z0-9_-]{43}$/) })

export class GrantStore {
  readonly #directory: string
  /** Oldest first, by manifest digest. */
  readonly #grants = new Map<string, Map<string, Uint8Array>>()

  private constructor(directory: string) {
    this.#directory = directory
  }

  /** @throws CoreError SPOOL_IO */
  static async open(directory: string): Promise<GrantStore> {
    const store = new GrantStore(directory)
    try {
      await mkdir(directory, { recursive: true, mode: 0o700 })
      for (const name of await readdir(directory)) {
        if (!name.endsWith(SUFFIX)) await rm(join(directory, name), { force: true })
        else store.#keep(await readFile(join(directory, name)))
      }
      return store
    } catch (error) {
      throw coreFault('SPOOL_IO', 'the grant directory cannot be used', error)
    }
  }

  /** Candidates for a manifest, newest first. */
  of(manifestDigest: string): readonly Uint8Array[] {
    return [...(this.#grants.get(manifestDigest)?.values() ?? [])].reverse()
  }

  /** Stores one grant, durably. @throws CoreError INTAKE_GRANT when it is none, SPOOL_IO */
  async put(bytes: Uint8Array): Promise<void> {
    const kept = this.#keep(bytes)
    if (kept === undefined) throw new CoreError('INTAKE_GRANT', 'not a grant')
    try {
      for (const name of kept.displaced) await rm(join(this.#directory, name), { force: true })
      await writeFileAtomically(join(this.#directory, kept.name), bytes, { mode: 0o600 })
    } catch (error) {
      throw coreFault('SPOOL_IO', 'the grant could not be stored', error)
    }
  }

  #keep(
    bytes: Uint8Array,
  ): { readonly name: string; readonly displaced: readonly string[] } | undefined {
    const digest = manifestOf(bytes)
    if (digest === undefined) return undefined
    const id = createHash('sha256').update(bytes).digest('hex').slice(0, 32)
    const grants = this.#grants.get(digest) ?? new Map<string, Uint8Array>()
    const displaced: string[] = []
    grants.delete(id)
    grants.set(id, bytes)
    this.#grants.set(digest, grants)
    for (const old of [...grants.keys()].slice(0, -GRANTS_A_MANIFEST)) {
      grants.delete(old)
      displaced.push(`${digest}.${old}${SUFFIX}`)
    }
    const [oldest] = this.#grants.keys()
    if (this.#grants.size > MANIFESTS_KEPT && oldest !== undefined) {
      for (const old of this.#grants.get(oldest)?.keys() ?? [])
        displaced.push(`${oldest}.${old}${SUFFIX}`)
      this.#grants.delete(oldest)
    }
    return { name: `${digest}.${id}${SUFFIX}`, displaced }
  }
}

/** The manifest a grant claims to open: enough to file it under. */
function manifestOf(bytes: Uint8Array): string | undefined {
  if (bytes.length > MAX_GRANT_FILE_BYTES) return undefined
  const text = Buffer.from(bytes).toString('latin1')
  const [, payload] = /^\{"payload":"([A-Za-z0-9_-]+)"/.exec(text) ?? text.split('.')
  const decoded = decodeBase64url(payload ?? '')
  try {
    return payloadSchema.safeParse(JSON.parse(Buffer.from(decoded ?? []).toString('utf8'))).data
      ?.mfd
  } catch {
    return undefined
  }
}
