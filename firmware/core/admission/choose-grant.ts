/** Which grant opens a print: those that came apart from the file first (SPEC 4.3), then those inside it. */

import {
  type Container,
  type Grant,
  type GrantChecks,
  type GrantTarget,
  MpfError,
  selectGrant,
} from '#mpf'

/**
 * The first of `detached` that passes steps 9 and 10, otherwise the one in the file. A candidate that fails is passed
 * over: anybody can drop a file named like a grant, and junk must not close what a good grant opens.
 * @throws MpfError of the file's own grant; of the newest candidate where the file has none for this printer
 */
export async function chooseGrant(
  container: Container,
  target: GrantTarget,
  checks: GrantChecks,
  detached: readonly Uint8Array[],
): Promise<Grant> {
  let newest: MpfError | undefined
  for (const candidate of detached) {
    try {
      return await selectGrant(container, target, { ...checks, detached: candidate })
    } catch (error) {
      if (!(error instanceof MpfError)) throw error
      newest ??= error
    }
  }
  try {
    return await selectGrant(container, target, checks)
  } catch (error) {
    if (newest && error instanceof MpfError && error.code === 'MPF_NO_GRANT') throw newest
    throw error
  }
}
