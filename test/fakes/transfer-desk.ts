/** A printer's side of file transfers: offers made by a fleet end, lives of the courier that may end anywhere, and what each asked for. */
import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import type { Test } from 'tap'
import { BLOCK_BYTES } from '../../firmware/cloud/incoming-file.ts'
import { Transfers } from '../../firmware/cloud/transfers.ts'
import type { OfferStatement } from '../../firmware/cloud/wire.ts'
import { makeOffer } from '../../fleet/jobs.ts'
import { FleetStore } from '../../fleet/store.ts'
import { roster } from './cloud-roster.ts'
import { type FakeClock, fakeClock } from './core-clock.ts'
import { type DeskPrinter, program, seal, signingKey, TENANT } from './core-printer.ts'

const publisher = signingKey()
const { trust } = roster(publisher)
const { privateKey: recipient } = generateKeyPairSync('ec', { namedCurve: 'P-384' })
const sealed = (text: string) =>
  seal({} as DeskPrinter, text, { signer: publisher, tenant: TENANT, recipient })
export const small = await sealed(program(300))
/** Some forty blocks: comments that nothing compresses. */
const noise = randomBytes(60 * 90_000)
  .toString('base64')
  .replaceAll(/.{80}/g, ';$&\n')
export const large = await sealed(program(300) + noise)
export const DAY_MS = 86_400_000

export interface Place {
  readonly directory: string
  readonly clock: FakeClock
  offer(
    file: Uint8Array | undefined,
    priority?: number,
    grants?: readonly Uint8Array[],
  ): Promise<OfferStatement>
}

export async function place(t: Test): Promise<Place> {
  const directory = t.testdir({ drop: {} })
  const clock = fakeClock(Date.now())
  const store = new FleetStore(join(directory, 'fleet.sqlite'))
  t.teardown(() => store[Symbol.dispose]())
  let made = 0
  return {
    ...{ directory, clock },
    async offer(file, priority = 5, grants = []) {
      made += 1
      const path = join(directory, `${made}.mpf`)
      await writeFile(path, file ?? '')
      // A second apart, so that the order is told by the offers.
      const atMs = clock.wallMs() + made * 1000
      const request = { path, device: 'P-1', tenant: TENANT, publisher, atMs, priority, grants }
      return (await makeOffer(store, request)).offer
    },
  }
}

export interface Life {
  readonly transfers: Transfers
  /** Offers in the order they were handed over. */
  readonly finished: string[]
  readonly refused: string[]
  /** Bytes asked for, by offer. */
  readonly asked: Map<string, number>
  /** How many more blocks come; a block past them never does. */
  blocks: number
  end(): Promise<void>
}

/** One life of the courier. `lie` may answer another block than the right one. */
export function life(
  t: Test,
  { directory, clock }: Place,
  files: ReadonlyMap<string, Uint8Array | undefined>,
  lie: (bytes: Uint8Array) => Uint8Array = bytes => bytes,
  trusted = trust,
): Life {
  const asked = new Map<string, number>()
  const [finished, refused]: [string[], string[]] = [[], []]
  const here: Life = {
    transfers: new Transfers({
      ...{
        directory: join(directory, 'drop'),
        maxFileBytes: 1 << 30,
        trust: trusted,
        tenant: TENANT,
      },
      ...{ clock, nowMs: clock.wallMs, lastEvent: () => 0 },
      report: (type, _message, { offer }, code = type) => {
        if (type === 'cloud.transfer_finished') finished.push(String(offer))
        if (type === 'cloud.transfer_refused' || type === 'cloud.transfer_cancelled')
          refused.push(code)
      },
      ask: async (ranges, { offer }) => {
        for (const [from, length] of ranges) {
          asked.set(offer, (asked.get(offer) ?? 0) + length)
          for (let at = from; at < from + length; at += BLOCK_BYTES) {
            if (here.blocks <= 0) continue
            here.blocks -= 1
            const bytes = files.get(offer)?.subarray(at, Math.min(at + BLOCK_BYTES, from + length))
            void here.transfers.block(offer, at, lie(bytes ?? Buffer.alloc(0)))
          }
        }
        return true
      },
    }),
    ...{ finished, refused, asked, blocks: Number.POSITIVE_INFINITY },
    async end() {
      ending.abort()
      await running
    },
  }
  const ending = new AbortController()
  const running = here.transfers.run(ending.signal)
  t.teardown(() => here.end())
  return here
}

export async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await wait(5)
}

export const sum = (asked: ReadonlyMap<string, number>, { offer }: OfferStatement) =>
  asked.get(offer) ?? 0
