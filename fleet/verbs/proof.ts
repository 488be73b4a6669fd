/** `fleet proof`: evidence about a printer's log that anybody verifies offline, and the verification. */

import { createPublicKey } from 'node:crypto'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { FleetError } from '../errors.ts'
import { witnessName } from '../ingest.ts'
import { entryOf, expectRecord } from '../prove.ts'
import type { FleetStore, LogRow } from '../store.ts'
import { openTenant } from '../tenant.ts'
import {
  makeConsistency,
  makeInclusion,
  type ProofPolicy,
  verifyConsistency,
  verifyInclusion,
} from '../tlog-proof.ts'
import { expectNumber, openStore, say, usage, type Values, type Verb } from '../verb.ts'

const FILES = {
  policy: 'policy.json',
  checkpoint: 'checkpoint',
  record: 'event.json',
  inclusion: 'event.tlog-proof',
  consistency: 'consistency',
} as const

const signer = z.strictObject({ name: z.string(), key: z.string() })
const policySchema = z.strictObject({ device: z.string(), log: signer, witness: signer })

export const proof: Verb = {
  summary: 'write, or verify offline, evidence about a printer’s log',
  synopsis: [
    'proof SERIAL --out DIR [--event N] [--since SIZE]',
    'proof verify DIR [--old CHECKPOINT]',
  ],
  description: `Writes into DIR: the newest proven head of the log, signed by the printer and cosigned by the fleet end (checkpoint); one event
(event.json) and the proof that it is in the log (event.tlog-proof, C2SP tlog-proof); whose keys count (policy.json); with --since, the
proof that the log only grew from that size (consistency, as in C2SP tlog-witness).

"verify" needs nothing but DIR, no store and no network. Compare the keys in policy.json with those you were given in person.

  --event N    number of the event; the newest proven one otherwise
  --since SIZE size of an earlier head
  --old FILE   that earlier head, as the verifier kept it
  --json       what was found as JSON`,
  run: async (values, [first, second]) => {
    if (first === 'verify' && second !== undefined) return verify(values, second)
    if (first === undefined || second !== undefined || values.out === undefined)
      usage('expected a serial and --out DIR')
    return write(values, first, values.out)
  },
}

async function write(values: Values, serial: string, directory: string): Promise<void> {
  using store = openStore(values)
  const log = store.log(serial)
  if (!log?.note || !log.name || !log.key)
    throw new FleetError('FLEET_PRINTER_UNKNOWN', 'no proven log of this printer yet')
  const event = expectNumber(values.event ?? String(log.proven), 'event', [1, log.proven])
  const { records, entries } = provenPart(store, serial, log)
  const tenant = await openTenant(values.tenant)
  const witness = createPublicKey((await tenant.key('witness')).privateKey)
  const files = new Map<string, string>([
    [
      FILES.policy,
      JSON.stringify({
        device: serial,
        log: { name: log.name, key: log.key },
        witness: {
          name: witnessName(tenant),
          key: witness.export({ type: 'spki', format: 'pem' }),
        },
      }),
    ],
    [FILES.checkpoint, log.note],
    [FILES.record, JSON.stringify(records[event - 1])],
    [FILES.inclusion, makeInclusion(entries, event - 1, log.note)],
  ])
  if (values.since !== undefined) {
    const since = expectNumber(values.since, 'since', [1, log.proven])
    files.set(FILES.consistency, makeConsistency(entries, since, log.note))
  }
  await mkdir(directory, { recursive: true })
  for (const [name, text] of files) await writeFile(join(directory, name), text)
  say(
    values.json
      ? JSON.stringify({ serial, event, size: log.proven, files: [...files.keys()] })
      : `event ${event} of ${log.proven} of ${serial}: ${[...files.keys()].join(', ')} in ${directory}`,
  )
}

/** Every record under the proven head, and its entry text. @throws FleetError FLEET_CHAIN_BROKEN when the store lost one */
function provenPart(store: FleetStore, serial: string, log: LogRow) {
  const records = store.items(serial, 'evt', 0, log.proven).map(({ value }) => value)
  if (records.length !== log.proven)
    throw new FleetError('FLEET_CHAIN_BROKEN', `${records.length} of ${log.proven} events stored`)
  return { records, entries: records.map(entryOf) }
}

async function verify(values: Values, directory: string): Promise<void> {
  const read = (name: string) => readFile(join(directory, name), 'utf8')
  const policy = policySchema.parse(JSON.parse(await read(FILES.policy)))
  const believed = policyOf(policy)
  const value: unknown = JSON.parse(await read(FILES.record))
  const text = await read(FILES.inclusion)
  const entry = entryOf(value)
  const { index, checkpoint, cosignedAtS } = verifyInclusion(text, entry, believed)
  const record = expectRecord(value, policy.device, index + 1)
  let grewFrom: number | null = null
  if (values.old !== undefined) {
    const old = await readFile(values.old, 'utf8')
    verifyConsistency(await read(FILES.consistency), old, believed)
    grewFrom = Number(old.split('\n')[1])
  }
  const found = {
    ...{ device: policy.device, event: index + 1, type: record.unmapped.type },
    ...{ size: checkpoint.size, cosignedAt: new Date(cosignedAtS * 1000).toISOString(), grewFrom },
  }
  if (values.json) return say(JSON.stringify(found))
  say(`${found.device}: event ${found.event} of ${found.size} (${found.type}) is in the signed log`)
  say(`cosigned ${found.cosignedAt} by ${policy.witness.name}`)
  if (grewFrom !== null) say(`the log only grew since it had ${grewFrom} events`)
}

function policyOf({ log, witness }: z.infer<typeof policySchema>): ProofPolicy {
  return {
    log: { name: log.name, key: createPublicKey(log.key) },
    witness: { name: witness.name, key: createPublicKey(witness.key) },
  }
}
