/** Admission as one list: every check of SPEC 7 in its order, and nothing later runs once one has failed. */

import {
  type ByteSource,
  checkMachine,
  openMeta,
  parseTrustBundle,
  readContainer,
  recipientIds,
  unwrapKeys,
  verifyManifest,
} from '#mpf'
import { checkedBlocks } from './checked-blocks.ts'
import { chooseGrant } from './choose-grant.ts'
import type { AdmissionContext, OpenedPrint } from './opened-print.ts'
import { findResumePoint } from './resume-point.ts'
import { findStandingLine } from './standing-line.ts'

/**
 * Opens a sealed file for printing: steps 2 to 16 here, 14, 17 and 18 block by block as `blocks` is pulled
 * (whole and ahead of the first motion by the preflight, 19; again by the print itself, 21).
 * Step 1 is the caller's open; step 20, the durable charge, is the journal's.
 * @throws MpfError by code.
 */
export async function openPrint(
  source: ByteSource,
  context: AdmissionContext,
): Promise<OpenedPrint> {
  const { printerKey, hybridKey, tenant, profile, atMs, seqFloor, epochFloor, usesOf } = context
  const trust = parseTrustBundle(context.trustBundle)
  // 2: it is an MPF file, every byte of it accounted for.
  const container = await readContainer(source)
  // 3-8: signed by whom we believe, for this tenant, not revoked, not older than what we have seen.
  const manifest = await verifyManifest(container, { trust, tenant, atMs, seqFloor })
  // 9-10: this printer may print it, now, at least once more.
  const target = {
    fileId: manifest.payload.fid,
    manifestDigest: manifest.digest,
    tenant: manifest.payload.ten,
  }
  const recipientKeys = { p384: printerKey, ...(hybridKey && { hybrid: hybridKey }) }
  const checks = {
    trust,
    recipientIds: recipientIds(recipientKeys),
    atMs,
    scope: 'print',
    epochFloor,
    usesOf,
  } as const
  const detached = context.detachedGrants?.(manifest.digest) ?? []
  const grant = await chooseGrant(container, target, checks, detached)
  // 11: the content keys, for as long as the print is open.
  using unwrapped = new DisposableStack()
  const keys = unwrapped.use(await unwrapKeys(grant, recipientKeys))
  // 12-15: they are the keys that were signed for; metadata and index.
  const meta = await openMeta(container, manifest, keys)
  // 16: the signed envelope lies inside this printer's own limits.
  checkMachine(manifest.payload.pol, profile)
  const program = { container, manifest, keys, index: meta.index }
  const lifetime = unwrapped.move()
  return {
    facts: {
      fileId: manifest.payload.fid,
      manifestDigest: manifest.digest,
      title: meta.info.title === '' ? null : meta.info.title,
      lines: manifest.payload.enc.body.lines,
      layers: meta.info.layers,
      estimatedS: meta.info.timeS,
      revision: manifest.payload.seq,
      signedAtMs: manifest.payload.iat * 1000,
      grant: { id: grant.id, usesGranted: grant.maxUses, epoch: grant.epoch },
    },
    program,
    blocks: (signal, listeners) => checkedBlocks(program, signal, listeners),
    resumePoint: (line, backOff, signal) => findResumePoint({ ...program, signal }, line, backOff),
    standingLine: (line, at, signal) => findStandingLine({ ...program, signal }, line, at),
    [Symbol.dispose]: () => lifetime.dispose(),
  }
}
