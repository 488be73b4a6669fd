/** A sealed file that passed the checks, as the rest of the core sees it: facts first, then verified blocks. */

import type { KeyObject } from 'node:crypto'
import type { Position } from '#drivers'
import type { FdSource } from '#lib/file-source.ts'
import type { HybridKeyPair, MachineProfile, ProgramCommand, ProgramListeners } from '#mpf'
import type { OpenedProgram } from './checked-blocks.ts'
import type { ResumePoint } from './resume-point.ts'

/** What the signed parts of a file say; nothing here was taken from unverified bytes. */
export interface PrintFacts {
  readonly fileId: string
  /** Of the signed manifest: names these very bytes. */
  readonly manifestDigest: string
  readonly title: string | null
  /** Lines of the sealed text, comments and empty lines included. */
  readonly lines: number
  readonly layers: number
  /** The slicer's own estimate of the whole print. */
  readonly estimatedS: number | undefined
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

/** `undefined` is the end. */
export interface CommandSource {
  next(): ProgramCommand | undefined
}

/** One block, authenticated and with every line checked against policy and machine. */
export interface CheckedBlock {
  /** The plaintext; whoever holds the block zeroes it when done. */
  readonly text: Uint8Array
  /** Its commands in order. */
  commands(): CommandSource
}

/** An opened file. Dispose zeroes its content keys. */
export interface OpenedPrint extends Disposable {
  readonly facts: PrintFacts
  /** For the preflight thread; its keys are zeroes once the print is disposed. */
  readonly program: OpenedProgram
  /**
   * The point `backOff` commands before the end of `line`, or as many of them as lie at the height of `line`: going back
   * further would lower the nozzle into the part. From verified blocks and the signed machine states; the file was checked whole at
   * its admission.
   * @throws MpfError by code; `signal.reason`.
   */
  resumePoint(line: number, backOff: number, signal: AbortSignal): Promise<ResumePoint>
  /**
   * The one line from `line` on at whose end the machine stands where the controller reports (mm): everything up to it was executed.
   * Undefined where it cannot be told: no line ends there, or several do.
   * @throws MpfError by code; `signal.reason`.
   */
  standingLine(line: number, reported: Position, signal: AbortSignal): Promise<number | undefined>
  /**
   * Every block in order; the end of the iteration means that the whole program is inside the envelope and complete.
   * `listeners` hear its lines and moves as they are checked.
   * @throws MpfError by code, with line or block; `signal.reason`.
   */
  blocks(signal: AbortSignal, listeners?: ProgramListeners): AsyncIterableIterator<CheckedBlock>
}

/** What this printer knows and the file does not decide. */
export interface AdmissionContext {
  readonly printerKey: KeyObject
  /** For post-quantum hybrid grants. */
  readonly hybridKey?: HybridKeyPair | undefined
  readonly tenant: string
  /** The trust bundle's file, as read at start. */
  readonly trustBundle: Uint8Array
  readonly profile: MachineProfile
  /** Trusted time. */
  readonly atMs: number
  seqFloor(fileId: string): number
  readonly epochFloor: number
  usesOf(grantId: string): number
  /** Grants for a manifest that came apart from its file, unverified, newest first. */
  readonly detachedGrants?: ((manifestDigest: string) => readonly Uint8Array[]) | undefined
}

/** @throws MpfError by code. */
export type OpenPrint = (source: FdSource, context: AdmissionContext) => Promise<OpenedPrint>

/** Why a file is not printed: a stable code, facts, and the line where there is one. */
export interface Refusal {
  readonly code: string
  readonly message: string
  readonly line?: number | undefined
}
