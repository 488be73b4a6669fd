/** The firmware's own dry run: into its check mode, proven by its status, and out again by a reset, whatever happened there. */
import type { Dialect } from '../dialect.ts'
import { DriverError } from '../errors.ts'
import type { Conversation } from './conversation.ts'

/** Reports carry no check: one that came damaged is asked for again. */
const STATUS_ATTEMPTS = 5

/**
 * Carries out `body` while the controller only checks what it is sent; settles as it does, once the controller has left the mode.
 * @throws DriverError `DRIVER_COMMAND_REFUSED` where it has no such mode, does not stand idle or does not say that it checks.
 */
export async function inCheckMode<T>(
  conversation: Conversation,
  { checkMode, drain, name }: Pick<Dialect, 'checkMode' | 'drain' | 'name'>,
  signal: AbortSignal,
  body: () => Promise<T>,
): Promise<T> {
  if (!checkMode) throw new DriverError('DRIVER_COMMAND_REFUSED', `${name} has no check mode`)
  // It is entered from standing only.
  await conversation.command(drain, signal)
  // Not to be taken back: half the way in is not known to be out.
  await conversation.command(checkMode.enter)
  try {
    await expectState(conversation, checkMode.state)
    conversation.statusDesk.isChecking = true
    return await body()
  } finally {
    await conversation.restart(checkMode.leave)
  }
}

/** Nothing checks what the controller received: a damaged command may have been another. */
async function expectState(conversation: Conversation, state: string): Promise<void> {
  let told = ''
  for (let attempt = 0; attempt < STATUS_ATTEMPTS; attempt++) {
    const status = await conversation.statusDesk.next()
    if (status.state === state) return
    told = status.state
  }
  throw new DriverError('DRIVER_COMMAND_REFUSED', `not in check mode: it is in ${told}`)
}
