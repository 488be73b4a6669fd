/** From a job in the spool to an opened sealed print, with what this printer knows at this moment. */

import type { KeyObject } from 'node:crypto'
import { type FileSource, fdSource } from '#lib/file-source.ts'
import { type HybridKeyPair, type MachineProfile, MpfError } from '#mpf'
import type { GrantStore } from '../grant-store.ts'
import type { Journal } from '../journal/journal.ts'
import type { Spool } from '../spool.ts'
import type { TrustedTime } from '../trusted-time.ts'
import type { AdmissionContext, OpenedPrint, OpenPrint } from './opened-print.ts'

/** What of the printer's identity and limits a file is checked against. */
export interface PrinterFacts {
  readonly printerKey: KeyObject
  readonly hybridKey?: HybridKeyPair | undefined
  readonly tenant: string
  readonly trustBundle: Uint8Array
  readonly profile: MachineProfile
}

export interface OpenJobOptions {
  readonly spool: Spool
  readonly journal: Journal
  readonly time: TrustedTime
  readonly printer: PrinterFacts
  readonly openPrint: OpenPrint
  readonly grants?: GrantStore | undefined
}

/** An opened job. Dispose zeroes the keys and closes the file. */
export interface OpenedJob extends AsyncDisposable {
  readonly print: OpenedPrint
  readonly source: FileSource
}

/** @throws CoreError JOB_FILE_LOST; MpfError by code. */
export type OpenJob = (id: string) => Promise<OpenedJob>

export function createOpenJob(options: OpenJobOptions): OpenJob {
  const { spool, openPrint, time } = options
  return async id => {
    await using stack = new AsyncDisposableStack()
    const source = stack.use(await spool.open(id))
    const sealed = sealedSource(source.fd, source.sizeBytes)
    const print = stack.use(await openPrint(sealed, contextNow(options, id)))
    time.observe(print.facts.signedAtMs)
    const lifetime = stack.move()
    return {
      print,
      source,
      [Symbol.asyncDispose]: () => lifetime.disposeAsync(),
    }
  }
}

/** The bytes of an open spool file as the file format reads them. */
function sealedSource(fd: number, sizeBytes: number): ReturnType<typeof fdSource> {
  return fdSource(fd, sizeBytes, (message, cause) => new MpfError('MPF_IO', message, { cause }))
}

function contextNow(
  { journal, time, printer, grants }: OpenJobOptions,
  id: string,
): AdmissionContext {
  const job = journal.hasJob(id) ? journal.job(id) : undefined
  // The use of an interrupted print is the one it goes on with, not one it would need beside it.
  const ownGrant = job?.state === 'interrupted' ? job.grantId : undefined
  return {
    ...printer,
    atMs: time.now().atMs,
    seqFloor: fileId => journal.floor('manifest-sequence', fileId),
    epochFloor: journal.floor('grant-epoch'),
    usesOf: grantId => journal.usesOf(grantId) - (grantId === ownGrant ? 1 : 0),
    detachedGrants: digest => grants?.of(digest) ?? [],
  }
}
