/** What systemd is told (sd_notify(3)): ready, and that the event loop turns. Outside a unit nothing is told. */

import { execFile } from 'node:child_process'
import type { Logger } from './logger.ts'

/** sd_watchdog_enabled(3) recommends half of the unit's WatchdogSec; a third leaves room for a busy board. */
const PER_PERIOD = 3
const US_PER_MS = 1000

/**
 * Tells that the service is ready, then feeds its watchdog from the event loop until the process ends: one that hangs is killed
 * and started anew. Through systemd's own tool: the socket is one that Node has no type for (SOCK_DGRAM).
 */
export function tellServiceManager(
  log: Logger,
  { NOTIFY_SOCKET: socket, WATCHDOG_USEC: periodUs }: NodeJS.ProcessEnv = process.env,
): void {
  if (socket === undefined) return
  tell('READY=1', log)
  const everyMs = Number(periodUs) / US_PER_MS / PER_PERIOD
  if (everyMs > 0) setInterval(tell, everyMs, 'WATCHDOG=1', log).unref()
}

function tell(state: string, log: Logger): void {
  execFile('systemd-notify', [state], error => {
    if (error) log.warn({ err: error }, 'the service manager was not told')
  })
}
