/** The trust bundle as it is now: read again with each link, and never an older one than before. */

import { readFile } from 'node:fs/promises'
import { MpfError, parseTrustBundle, type TrustBundle } from '#mpf'

export interface LiveTrust extends TrustBundle {
  /** Looks at the file again; one that cannot be read, or an older one, changes nothing. */
  refresh(): Promise<void>
}

/** @throws MpfError MPF_SIGNER when the first reading is malformed; the system's error when there is no file */
export async function openLiveTrust(path: string): Promise<LiveTrust> {
  let bundle = parseTrustBundle(await readFile(path))
  return {
    get tenant() {
      return bundle.tenant
    },
    get epoch() {
      return bundle.epoch
    },
    get requiresPostQuantum() {
      return bundle.requiresPostQuantum
    },
    keyFor: (purpose, kid) => bundle.keyFor(purpose, kid),
    isManifestRevoked: digest => bundle.isManifestRevoked(digest),
    isGrantRevoked: id => bundle.isGrantRevoked(id),
    async refresh() {
      try {
        const next = parseTrustBundle(await readFile(path))
        if (next.epoch >= bundle.epoch && next.tenant === bundle.tenant) bundle = next
      } catch (error) {
        const isRead = error instanceof Error && 'code' in error
        if (!(error instanceof MpfError) && !isRead) throw error
      }
    },
  }
}
