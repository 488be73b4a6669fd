/** A sealed file that passed the checks, as the rest of the core sees it: facts first, then verified blocks. */

import type { KeyObject } from 'node:crypto'
import type { ProgramLine } from '#drivers'
import type { FdSource } from '#lib/file-source.ts'
import type { MachineProfile } from '#mpf'

/** Where a block of the program begins: its first line, and the layer and height it belongs to. */
export interface LayerMark {
  readonly firstLine: number
  readonly layer: number
  readonly zMicron: number
}

/** What the signed parts of a file say; nothing here was taken from unverified bytes. */
export interface PrintFacts {
  readonly fileId: string
  readonly title: string | null
  /** Lines of the sealed text, comments and empty lines included. */
  readonly lines: number
  readonly layers: number
  readonly marks: readonly LayerMark[]
  /** Revision of the part: the next file of the same id may not be older. */
  readonly revision: number
  readonly signedAtMs: number
  readonly grant: {
    readonly id: string
    /** 0 = unlimited. */
    readonly usesGranted: number
    readonly epoch: number
  }
}

/** One block, authenticated and with every line checked against policy and machine. */
export interface CheckedBlock {
  readonly index: number
  readonly firstLine: number
  readonly lines: number
  /** The plaintext; whoever holds the block zeroes it when done. */
  readonly text: Uint8Array
  /** Its commands in order. */
  commands(): Iterator<ProgramLine>
}

/** An opened file. Dispose zeroes its content keys. */
export interface SealedPrint extends Disposable {
  readonly facts: PrintFacts
  /**
   * Every block in order; the end of the iteration means that the whole program is inside the envelope and complete.
   * @throws MpfError by code, with line or block; `signal.reason`.
   */
  blocks(signal: AbortSignal): AsyncIterableIterator<CheckedBlock>
}

/** What this printer knows and the file does not decide. */
export interface AdmissionContext {
  readonly printerKey: KeyObject
  readonly tenant: string
  /** The trust bundle's file, as read at start. */
  readonly trustBundle: Uint8Array
  readonly profile: MachineProfile
  /** Trusted time. */
  readonly atMs: number
  seqFloor(fileId: string): number
  readonly epochFloor: number
  usesOf(grantId: string): number
}

/** @throws MpfError by code. */
export type OpenSealedPrint = (source: FdSource, context: AdmissionContext) => Promise<SealedPrint>

/** Why a file is not printed: a stable code, facts, and the line where there is one. */
export interface Refusal {
  readonly code: string
  readonly message: string
  readonly line?: number | undefined
}
