import { createHash, generateKeyPairSync, randomBytes } from 'node:crypto'
import { unlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { type Clock, systemClock } from '#lib/clock.ts'
import type { MachineProfile } from '#mpf'
import { admitJob } from '../../firmware/core/admission/admission.ts'
import { openPrint } from '../../firmware/core/admission/checklist.ts'
import { createOpenJob } from '../../firmware/core/admission/open-job.ts'
import { type Preflight, preflightInThread } from '../../firmware/core/admission/preflight.ts'
import { CoreError } from '../../firmware/core/errors.ts'
import { Journal } from '../../firmware/core/journal/journal.ts'
import { loadTrustBundle } from '../../firmware/core/keys.ts'
import { Spool } from '../../firmware/core/spool.ts'
import { createTrustedTime } from '../../firmware/core/trusted-time.ts'
import { fakeClock } from '../fakes/core-clock.ts'
import {
  type DeskPrinter,
  deskPrinter,
  program,
  type SealOptions,
  seal,
  signingKey,
} from '../fakes/core-printer.ts'

const NOW_S = Math.floor(Date.now() / 1000)
const never = new AbortController().signal

interface Desk extends AsyncDisposable {
  readonly printer: DeskPrinter
  readonly journal: Journal
  readonly spool: Spool
  receive(bytes: Uint8Array): Promise<string>
  admit(id: string, preflight?: Preflight, clock?: Clock): ReturnType<typeof admitJob>
}

async function desk(profile: Partial<MachineProfile> = {}): Promise<Desk> {
  const printer = await deskPrinter()
  const time = createTrustedTime({ clock: systemClock, buildAtMs: 0, floorMs: 0 })
  const journal = new Journal({ path: join(printer.directory, 'journal'), stamp: () => time.now() })
  const spool = await Spool.open(join(printer.directory, 'spool'), printer.config.spool)
  const openJob = createOpenJob({
    spool,
    journal,
    time,
    openPrint,
    printer: {
      printerKey: printer.key,
      tenant: printer.config.printer.tenant,
      trustBundle: await loadTrustBundle(printer.config.trust.bundleFile),
      profile: { ...printer.config.printer.profile, ...profile },
    },
  })
  let ids = 0
  return {
    printer,
    journal,
    spool,
    async receive(bytes) {
      const id = `0000000${++ids}`
      await writeFile(spool.pathOf(id), bytes)
      const sha256 = createHash('sha256').update(bytes).digest('hex')
      const job = { id, name: 'part.mpf', origin: 'usb', sizeBytes: bytes.length, sha256 } as const
      journal.receive(job, { type: 'job.received', job: id, message: 'copied' })
      return id
    },
    admit: (id, preflight = preflightInThread, clock = fakeClock()) =>
      admitJob(id, { journal, openJob, preflight, clock }, never),
    async [Symbol.asyncDispose]() {
      journal[Symbol.dispose]()
      await printer[Symbol.asyncDispose]()
    },
  }
}

const PROGRAM = program(30)

t.test('admits a good file and keeps what the queue shows', async t => {
  await using d = await desk()
  const id = await d.receive(await seal(d.printer, PROGRAM, { maxUses: 3, revision: 4 }))
  const job = await d.admit(id)
  t.match(job, { state: 'ready', title: 'bracket', usesGranted: 3, use: null, code: null })
  t.equal(job.lines, PROGRAM.split('\n').length - 1)
  t.equal(d.journal.floor('manifest-sequence', job.fileId ?? ''), 4)
})

const REFUSED: Readonly<Record<string, { code: string; options: () => SealOptions }>> = {
  'for another printer': {
    code: 'MPF_NO_GRANT',
    options: () => ({ recipient: generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey }),
  },
  'of another tenant': {
    code: 'MPF_TENANT',
    options: () => ({ tenant: Buffer.alloc(16, 9).toString('base64url') }),
  },
  'that has expired': {
    code: 'MPF_EXPIRED',
    options: () => ({ notBeforeS: NOW_S - 100, expiresS: NOW_S - 10 }),
  },
  'that is not valid yet': {
    code: 'MPF_NOT_YET',
    options: () => ({ notBeforeS: NOW_S + 3600, expiresS: NOW_S + 7200 }),
  },
  'of an unknown signer': { code: 'MPF_SIGNER', options: () => ({ signer: signingKey() }) },
}

for (const [what, { code, options }] of Object.entries(REFUSED))
  t.test(`refuses a file ${what} with ${code}`, async t => {
    await using d = await desk()
    const id = await d.receive(await seal(d.printer, PROGRAM, options()))
    t.match(await d.admit(id), { state: 'refused', code })
    t.match(d.journal.events(0, 9).at(-1), { type: 'admission.refused', job: id, code })
  })

t.test('refuses damaged files by what is wrong with them', async t => {
  await using d = await desk()
  const good = await seal(d.printer, PROGRAM)
  const flipped = Buffer.from(good)
  flipped[good.length - 100] = (flipped[good.length - 100] ?? 0) ^ 1
  const damaged = {
    MPF_TRUNCATED: good.subarray(0, good.length - 1),
    MPF_TRAILING: Buffer.concat([good, Buffer.of(0)]),
    MPF_MAGIC: Buffer.concat([Buffer.from('G28\n'), good]),
    MPF_SEG_HASH: flipped,
  }
  for (const [code, bytes] of Object.entries(damaged))
    t.match(await d.admit(await d.receive(bytes)), { state: 'refused', code }, code)
})

t.test('refuses a file whose grant is used up', async t => {
  await using d = await desk()
  const grantId = randomBytes(16)
  const sealed = await seal(d.printer, PROGRAM, { maxUses: 1, grantId })
  const first = await d.receive(sealed)
  await d.admit(first)
  d.journal.chargeAndStart(first, grantId.toString('base64url'), 1)
  t.match(await d.admit(await d.receive(sealed)), { state: 'refused', code: 'MPF_USES' })
})

t.test('refuses an older revision of a part than it has admitted', async t => {
  await using d = await desk()
  const fileId = randomBytes(16)
  await d.admit(await d.receive(await seal(d.printer, PROGRAM, { fileId, revision: 2 })))
  const older = await seal(d.printer, PROGRAM, { fileId, revision: 1 })
  t.match(await d.admit(await d.receive(older)), { state: 'refused', code: 'MPF_ROLLBACK' })
})

t.test('refuses a program that does not fit this printer', async t => {
  await using small = await desk({ limitsMm: { min: [0, 0, 0], max: [20, 20, 20] } })
  const wide = await seal(small.printer, PROGRAM)
  t.match(await small.admit(await small.receive(wide)), { state: 'refused', code: 'MPF_POLICY' })
  await using cool = await desk({ maxTempC: { hotend: [180], bed: 60, chamber: 0 } })
  const hot = await seal(cool.printer, PROGRAM)
  t.match(await cool.admit(await cool.receive(hot)), { state: 'refused', code: 'MPF_POLICY' })
})

t.test('a fault of the check itself refuses the file', async t => {
  await using d = await desk()
  const id = await d.receive(await seal(d.printer, PROGRAM))
  const failing = () => Promise.reject(new RangeError('out of memory'))
  t.match(await d.admit(id, failing), { state: 'refused', code: 'ADMISSION_FAULT' })
})

t.test('a job whose file is gone has failed, not been refused', async t => {
  await using d = await desk()
  const id = await d.receive(Buffer.from('x'))
  await unlink(d.spool.pathOf(id))
  t.match(await d.admit(id), { state: 'failed', code: 'JOB_FILE_LOST' })
})

t.test('a check broken off by the end of the core decides nothing', async t => {
  await using d = await desk()
  const id = await d.receive(await seal(d.printer, PROGRAM))
  const ending = new AbortController()
  const openJob = () => {
    ending.abort(new CoreError('JOB_INTERRUPTED', 'end'))
    return Promise.reject(new RangeError('anything'))
  }
  const options = {
    ...{ journal: d.journal, openJob, preflight: preflightInThread },
    clock: fakeClock(),
  }
  await t.rejects(admitJob(id, options, ending.signal), { code: 'JOB_INTERRUPTED' })
  t.equal(d.journal.job(id).state, 'received')
})

/** Fails to be read `times` times, then answers as the real check does. */
function unreadable(times: number): Preflight {
  let left = times
  return async (job, signal) => {
    left -= 1
    if (left >= 0) return { code: 'MPF_IO', message: 'read: EIO' }
    return preflightInThread(job, signal)
  }
}

async function admitWith(d: Desk, preflight: Preflight): Promise<string> {
  const { journal } = d
  const id = await d.receive(await seal(d.printer, PROGRAM))
  const clock = { ...fakeClock(), sleep: () => Promise.resolve() }
  return (await d.admit(id, preflight, clock)).state + journal.job(id).code
}

t.test('a file that cannot be read for a moment is admitted all the same', async t => {
  await using d = await desk()
  t.equal(await admitWith(d, unreadable(3)), 'readynull')
})

t.test('a file that cannot be read at all is refused in the end', async t => {
  await using d = await desk()
  t.equal(await admitWith(d, unreadable(99)), 'refusedMPF_IO')
})
