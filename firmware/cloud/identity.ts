/** The printer's client identity: two slots of key and certificate, one of them current; the other proves itself before it takes over. */

import { createPrivateKey, generateKeyPairSync, X509Certificate } from 'node:crypto'
import { access, mkdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { writeFileAtomically } from '#lib/atomic-file.ts'
import { createCsr } from '#mpf'
import { CloudError } from './errors.ts'
import type { Identity } from './tls-socket.ts'

export type Slot = 'a' | 'b'

export interface NamedIdentity extends Identity {
  /** The certificate's common name: the device in every topic. */
  readonly device: string
  readonly notAfterMs: number
  readonly serialNumber: string
}

export interface SlotIdentity extends NamedIdentity {
  readonly slot: Slot
}

const DIRECTORY_MODE = 0o700
const FILE_MODE = 0o600
/** CLOUD 3.7: certificates of 90 days are renewed from day 60. */
const RENEW_BEFORE_MS = 30 * 86_400_000

export class IdentityStore {
  readonly #directory: string

  constructor(directory: string) {
    this.#directory = directory
  }

  /** The current slot's identity, or undefined before the enrolment. @throws CloudError CLOUD_IDENTITY when it is damaged */
  async current(): Promise<SlotIdentity | undefined> {
    const slot = await this.#currentSlot()
    return slot && this.load(slot)
  }

  /**
   * The current slot's identity, or the other slot's when the current one is damaged, has ended or is `unaccepted` (a serial
   * number); an unaccepted one still when there is no other.
   */
  async usable(atMs: number, unaccepted = ''): Promise<SlotIdentity | undefined> {
    const spare = await this.spareSlot()
    const order = [spare === 'a' ? 'b' : 'a', spare] as const
    const loaded = await Promise.all(order.map(slot => this.load(slot).catch(() => undefined)))
    const valid = loaded.filter(identity => identity && identity.notAfterMs > atMs)
    return valid.find(identity => identity?.serialNumber !== unaccepted) ?? valid[0]
  }

  /** @throws CloudError CLOUD_IDENTITY */
  async load(slot: Slot): Promise<SlotIdentity> {
    return { slot, ...(await this.#read(slot)) }
  }

  /** What the factory put in: it can only enrol. Undefined when there is none. @throws CloudError CLOUD_IDENTITY when it is damaged */
  async factory(): Promise<NamedIdentity | undefined> {
    const isThere = await access(join(this.#directory, 'factory')).then(
      () => true,
      () => false,
    )
    return isThere ? this.#read('factory') : undefined
  }

  async #read(slot: Slot | 'factory'): Promise<NamedIdentity> {
    try {
      const cert = await readFile(join(this.#directory, slot, 'cert.pem'), 'utf8')
      const key = await readFile(join(this.#directory, slot, 'key.pem'), 'utf8')
      const parsed = new X509Certificate(cert)
      if (!parsed.checkPrivateKey(createPrivateKey(key)))
        throw new Error('key of another certificate')
      const device = /^CN=(.+)$/m.exec(parsed.subject)?.[1]
      if (device === undefined || !/^[A-Za-z0-9._-]{1,64}$/.test(device))
        throw new Error('no usable common name')
      const notAfterMs = parsed.validToDate.getTime()
      return { cert, key, device, notAfterMs, serialNumber: parsed.serialNumber }
    } catch (cause) {
      throw new CloudError('CLOUD_IDENTITY', `slot ${slot} cannot be used`, { cause })
    }
  }

  /** The slot that is not current. */
  async spareSlot(): Promise<Slot> {
    return (await this.#currentSlot()) === 'a' ? 'b' : 'a'
  }

  /** Makes a P-256 key in `slot` and returns the request for its certificate, DER. The key never leaves. */
  async request(slot: Slot, subject: { readonly commonName: string }): Promise<Uint8Array> {
    const directory = join(this.#directory, slot)
    await this.discard(slot)
    await mkdir(directory, { recursive: true, mode: DIRECTORY_MODE })
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const pem = privateKey.export({ type: 'pkcs8', format: 'pem' })
    await writeFileAtomically(join(directory, 'key.pem'), Buffer.from(pem), { mode: FILE_MODE })
    return createCsr(subject, privateKey)
  }

  /** Keeps the certificate that came for the key in `slot`. @throws CloudError CLOUD_IDENTITY when it is for another key */
  async install(slot: Slot, certPem: string): Promise<SlotIdentity> {
    const path = join(this.#directory, slot, 'cert.pem')
    await writeFileAtomically(path, Buffer.from(certPem), { mode: FILE_MODE })
    return this.load(slot)
  }

  /** Makes `slot` the current one: durable when it resolves. */
  async promote(slot: Slot): Promise<void> {
    const path = join(this.#directory, 'current')
    await writeFileAtomically(path, Buffer.from(slot), { mode: FILE_MODE })
  }

  /** Forgets what is in `slot`. */
  async discard(slot: Slot): Promise<void> {
    await rm(join(this.#directory, slot), { recursive: true, force: true })
  }

  async #currentSlot(): Promise<Slot | undefined> {
    const text = await readFile(join(this.#directory, 'current'), 'utf8').catch(() => '')
    return text === 'a' || text === 'b' ? text : undefined
  }
}

export function isRenewalDue(identity: SlotIdentity, atMs: number): boolean {
  return identity.notAfterMs - atMs < RENEW_BEFORE_MS
}
