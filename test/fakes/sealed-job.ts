/** A sealed file of a tenant in a fleet's directory, and the offer that announces it. */
import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { makeOffer } from '../../fleet/jobs.ts'
import type { Fleet } from './cloud-bench.ts'
import { type DeskPrinter, type SealOptions, seal } from './core-printer.ts'

/** Any printer may fetch it; `recipient`, where given, can also open it. */
export async function offeredJob(
  on: Fleet,
  text: string,
  {
    recipient = generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey,
    info,
  }: {
    readonly recipient?: KeyObject
    readonly info?: SealOptions['info']
  } = {},
): Promise<Awaited<ReturnType<typeof makeOffer>> & { readonly bytes: Buffer }> {
  const publisher = await on.tenant.key('publisher')
  const tenant = on.tenant.id
  const options = { signer: publisher, tenant, recipient, ...(info && { info }) }
  const bytes = await seal({} as DeskPrinter, text, options)
  const path = join(on.directory, 'job.mpf')
  await writeFile(path, bytes)
  const made = await makeOffer(on.store, {
    ...{ path, device: 'P-1', tenant, publisher, atMs: Date.now() },
  })
  return { ...made, bytes }
}
