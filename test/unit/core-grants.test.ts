/** Grants that come apart from their files, beside them on the stick: what each may still do, and what it may not. */
import { createPublicKey, randomBytes } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import {
  type ContentKeys,
  encodeBase64url,
  generateHybridKey,
  type HybridKeyPair,
  memoryStore,
  ProgramPacker,
  policyFor,
  type Recipient,
  recipientId,
  sealPrint,
  signGrant,
} from '#mpf'
import { openPrint } from '../../firmware/core/admission/checklist.ts'
import type { AdmissionContext } from '../../firmware/core/admission/opened-print.ts'
import { GrantStore } from '../../firmware/core/grant-store.ts'
import { Stick } from '../../firmware/core/intake/stick.ts'
import { Journal } from '../../firmware/core/journal/journal.ts'
import { parseHybridKey, readKeyFile } from '../../firmware/core/keys.ts'
import { Spool } from '../../firmware/core/spool.ts'
import { memorySource } from '../../mpf/byte-source.ts'
import { fakeClock } from '../fakes/core-clock.ts'
import { type DeskPrinter, deskPrinter, program, TENANT } from '../fakes/core-printer.ts'

const NOW_S = Math.floor(Date.now() / 1000)
const GRANT_ID = Buffer.alloc(16, 9)

interface Sealed {
  /** Granted to nobody. */
  readonly file: Buffer
  readonly target: {
    readonly fileId: string
    readonly manifestDigest: string
    readonly tenant: string
  }
  readonly keys: ContentKeys
}

async function sealUngranted(printer: DeskPrinter): Promise<Sealed> {
  const packer = new ProgramPacker({ level: 1 })
  const sealed = await sealPrint({
    ...{ fileId: randomBytes(16), tenant: TENANT, issuer: 'test', app: 'test' },
    ...{ madeAtS: NOW_S, seq: 0, signingKey: printer.publisher, store: memoryStore() },
    blocks: packer.blocks([Buffer.from(program(5))]),
    describe: () => ({
      metadata: { info: { title: 'part', layers: 1 }, thumbnails: [], geometry: undefined },
      policy: policyFor(packer.limits(), { models: [], nozzleUm: 0 }),
    }),
  })
  const parts: Uint8Array[] = []
  for await (const part of sealed.file(new Map())) parts.push(part)
  const { fid: fileId } = sealed.manifest
  const target = { fileId, manifestDigest: sealed.manifestDigest, tenant: TENANT }
  return { file: Buffer.concat(parts), target, keys: sealed.keys }
}

type GrantOptions = Partial<Omit<Parameters<typeof signGrant>[0], 'target' | 'keys' | 'signingKey'>>

function grantFor(printer: DeskPrinter, { target, keys }: Sealed, options: GrantOptions = {}) {
  return signGrant({
    ...{ target, keys, signingKey: printer.publisher, issuer: 'test', grantId: GRANT_ID },
    ...{ recipient: { ka: 'JWE', key: createPublicKey(printer.key) } as Recipient, scope: 'print' },
    ...{ notBeforeS: NOW_S - 60, expiresS: NOW_S + 60, maxUses: 1, epoch: 3, ...options },
  })
}

/** Puts a grant on the stick, takes it from there, and opens the file with it: `good`, or the code of the refusal. */
async function outcome(
  printer: DeskPrinter,
  { file }: Sealed,
  grant: Uint8Array | undefined,
  context: Partial<AdmissionContext> = {},
): Promise<string> {
  const directory = join(printer.directory, encodeBase64url(randomBytes(6)))
  const grants = await GrantStore.open(join(directory, 'grants'))
  using journal = new Journal({
    path: join(printer.directory, `${encodeBase64url(randomBytes(6))}.sqlite`),
    stamp: () => ({ atMs: NOW_S * 1000, quality: 'rtc' }),
  })
  const spool = await Spool.open(join(directory, 'spool'), printer.config.spool)
  const stick = new Stick(printer.stick, 0, {
    ...{ clock: fakeClock(), journal, spool, newId: () => '1', onReceived: () => undefined },
    storeGrant: bytes => grants.put(bytes),
  })
  if (grant) await writeFile(join(printer.stick, 'Part.MPFG'), grant)
  await stick.scan(new AbortController().signal)
  const stored = await GrantStore.open(join(directory, 'grants'))
  try {
    using print = await openPrint(memorySource(file), {
      ...{ printerKey: printer.key, tenant: TENANT, profile: printer.config.printer.profile },
      trustBundle: await readFile(printer.config.trust.bundleFile),
      ...{ atMs: NOW_S * 1000, seqFloor: () => 0, epochFloor: 0, usesOf: () => 0 },
      detachedGrants: digest => stored.of(digest),
      ...context,
    })
    return print.facts.title === 'part' ? 'good' : 'another file'
  } catch (error) {
    return String((error as { code?: unknown }).code)
  }
}

t.test('a grant beside the file on the stick is taken, and outlives a restart', async t => {
  await using printer = await deskPrinter()
  const sealed = await sealUngranted(printer)
  t.equal(await outcome(printer, sealed, undefined), 'MPF_NO_GRANT')
  t.equal(await outcome(printer, sealed, await grantFor(printer, sealed)), 'good')
})

t.test('a grant apart from its file is worth what it says and no more', async t => {
  await using printer = await deskPrinter()
  const sealed = await sealUngranted(printer)
  const at = (options: GrantOptions, context?: Partial<AdmissionContext>) =>
    grantFor(printer, sealed, options).then(grant => outcome(printer, sealed, grant, context))
  t.equal(await at({ scope: 'view' }), 'MPF_GRANT_SCOPE')
  t.equal(await at({ expiresS: NOW_S - 1 }), 'MPF_EXPIRED')
  t.equal(await at({ expiresS: NOW_S }), 'good', 'the last moment')
  t.equal(await at({ notBeforeS: NOW_S + 301 }), 'MPF_NOT_YET')
  t.equal(await at({ notBeforeS: NOW_S + 299 }), 'good', 'five minutes of tolerance')
  t.equal(await at({ maxUses: 2 }, { usesOf: () => 1 }), 'good')
  t.equal(await at({ maxUses: 2 }, { usesOf: () => 2 }), 'MPF_USES')
  t.equal(await at({ maxUses: 0 }, { usesOf: () => 1000 }), 'good', 'no limit')
  t.equal(await at({ epoch: 3 }, { epochFloor: 3 }), 'good')
  t.equal(await at({ epoch: 3 }, { epochFloor: 4 }), 'MPF_GRANT_REVOKED', 'an older epoch')
  const bundle = JSON.parse(await readFile(printer.config.trust.bundleFile, 'utf8'))
  bundle.revoked.grants.push(encodeBase64url(GRANT_ID))
  const trustBundle = Buffer.from(JSON.stringify(bundle))
  t.equal(await at({}, { trustBundle }), 'MPF_GRANT_REVOKED')
  t.equal(await at({ grantId: randomBytes(16) }, { trustBundle }), 'good', 'another grant of it')
})

t.test('a grant for another file, of a stranger or damaged opens nothing', async t => {
  await using printer = await deskPrinter()
  await using stranger = await deskPrinter()
  const [sealed, other] = [await sealUngranted(printer), await sealUngranted(printer)]
  t.equal(await outcome(printer, sealed, await grantFor(printer, other)), 'MPF_NO_GRANT')
  const forged = await grantFor({ ...printer, publisher: stranger.publisher }, sealed)
  t.equal(await outcome(printer, sealed, forged), 'MPF_GRANT_SIG')
  t.equal(await outcome(printer, sealed, Buffer.from('not a grant')), 'MPF_NO_GRANT')
  const elsewhere = await grantFor(printer, sealed, {
    recipient: { ka: 'JWE', key: createPublicKey(stranger.key) },
  })
  t.equal(await outcome(printer, sealed, elsewhere), 'MPF_NO_GRANT')
})

/** A hybrid key as `mpf keygen --kind hybrid` keeps it. */
function hybridFile({ publicKey, privateKey }: HybridKeyPair): string {
  return JSON.stringify({
    suite: 'HPKE-0051',
    publicKey: encodeBase64url(publicKey),
    privateKey: encodeBase64url(privateKey),
  })
}

const loadHybridKey = async (path: string) => parseHybridKey(await readKeyFile(path))

t.test('a hybrid grant opens with the hybrid key of the printer, and only with it', async t => {
  await using printer = await deskPrinter()
  const sealed = await sealUngranted(printer)
  const pair = await generateHybridKey()
  const path = join(printer.directory, 'hybrid.json')
  await writeFile(path, hybridFile(pair), { mode: 0o600 })
  const hybridKey = await loadHybridKey(path)
  const recipient: Recipient = { ka: 'HPKE-0051', key: pair.publicKey }
  const grant = await grantFor(printer, sealed, { recipient })
  t.equal(recipientId(recipient).length, 43)
  t.equal(await outcome(printer, sealed, grant, { hybridKey }), 'good')
  t.equal(await outcome(printer, sealed, grant), 'MPF_NO_GRANT')
  const wrong = { ...hybridKey, privateKey: (await generateHybridKey()).privateKey }
  t.equal(await outcome(printer, sealed, grant, { hybridKey: wrong }), 'MPF_UNWRAP')
  const bundle = JSON.parse(await readFile(printer.config.trust.bundleFile, 'utf8'))
  const required = { trustBundle: Buffer.from(JSON.stringify({ ...bundle, pq: 'required' })) }
  t.equal(
    await outcome(printer, sealed, grant, { hybridKey, ...required }),
    'MPF_PQ',
    'one signature',
  )
})

t.test('refuses a hybrid key that others can read, or that is none', async t => {
  const directory = t.testdir()
  const pair = await generateHybridKey()
  const path = join(directory, 'hybrid.json')
  await writeFile(path, hybridFile(pair), { mode: 0o640 })
  await t.rejects(loadHybridKey(path), { code: 'KEYS_MODE' })
  const wrong = {
    text: 'no key',
    public: JSON.stringify({ suite: 'HPKE-0051', publicKey: encodeBase64url(pair.publicKey) }),
    short: hybridFile({ ...pair, privateKey: pair.privateKey.subarray(1) }),
    long: hybridFile({ ...pair, publicKey: Buffer.concat([pair.publicKey, Buffer.of(0)]) }),
    suite: hybridFile(pair).replace('0051', '0050'),
  }
  for (const [name, text] of Object.entries(wrong)) {
    const file = join(directory, name)
    await writeFile(file, text, { mode: 0o600 })
    await t.rejects(loadHybridKey(file), { code: 'KEYS_UNREADABLE' }, name)
  }
})
