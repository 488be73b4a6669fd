/** Keys people and slicers come with: each for one holder and one purpose, shown once. Only their hashes are kept. */

import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { FleetError } from './errors.ts'

/** Upload through the gateway, or look at the web page. */
export type KeyPurpose = 'api-keys' | 'web-keys'

const NAME = /^[a-z0-9][a-z0-9-]{0,31}$/

/** 256 random bits under a name. @throws FleetError FLEET_FILE when the name is taken or none */
export async function issueKey(
  tenantDirectory: string,
  purpose: KeyPurpose,
  name: string,
): Promise<string> {
  if (!NAME.test(name))
    throw new FleetError('FLEET_FILE', 'a name is lower-case letters, digits, -')
  const key = randomBytes(32).toString('base64url')
  const place = join(tenantDirectory, purpose)
  await mkdir(place, { recursive: true, mode: 0o700 })
  await writeFile(join(place, name), digestOf(key).toString('hex'), {
    mode: 0o600,
    flag: 'wx',
  }).catch(cause => {
    throw new FleetError('FLEET_FILE', `${name} has a key already`, { cause })
  })
  return key
}

/** Whose key this is; read again each time, so that a removed file is a revoked key. @throws FleetError FLEET_API_KEY */
export async function holderOf(
  tenantDirectory: string,
  purpose: KeyPurpose,
  key: string,
): Promise<string> {
  const place = join(tenantDirectory, purpose)
  const digest = digestOf(key)
  const names = await readdir(place).catch(() => [])
  for (const name of names) {
    const kept = Buffer.from((await readFile(join(place, name), 'utf8')).trim(), 'hex')
    if (kept.length === digest.length && timingSafeEqual(kept, digest)) return name
  }
  throw new FleetError('FLEET_API_KEY', 'no such key')
}

function digestOf(key: string): Buffer {
  return createHash('sha256').update(key).digest()
}
