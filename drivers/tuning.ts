/** Every number a driver waits, counts or bounds by, with its unit and its source; a dialect overrides what its firmware does differently. */

/** Times in milliseconds, sizes in lines or bytes. */
export interface Tuning {
  readonly greetingMs: number
  readonly handshakeRetryMs: number
  readonly handshakeAttempts: number
  readonly bootMs: number
  readonly quietMs: number
  readonly identifyAttempts: number
  readonly bufferLines: number
  readonly maxBufferLines: number
  readonly ringBytes: number
  readonly markEveryLines: number
  readonly noiseBurst: number
  readonly noiseResendsPerLine: number
  readonly settleMs: number
  readonly probeAfterMs: number
  readonly probeNoisyAfterMs: number
  readonly probePacedAfterMs: number
  readonly probeBusyAfterMs: number
  readonly maxProbeAfterMs: number
  readonly silenceMs: number
  readonly ackTimeoutMs: number
  readonly watchMs: number
  readonly idleWatchMs: number
  readonly autoreportS: number
  readonly pollMs: number
  readonly statusPollMs: number
  readonly statusLostMs: number
  readonly stopVerifyMs: number
  readonly holdStopMs: number
  readonly reattachRetryMs: number
  readonly reattachListenMs: number
}

export const defaultTuning: Tuning = Object.freeze({
  /** How long a board that was reset by the open may stay quiet before its first byte; the first greeting is sent after it or at `start`. */
  greetingMs: 300,
  /** One try of `M110 N0`: longer than an AVR boot loader keeps the line (optiboot 1 s, stk500v2 2 s in two tries). */
  handshakeRetryMs: 1_500,
  /** Ten seconds and more for a board that prints its greeting slowly (OctoPrint waits 10 s for `start`). */
  handshakeAttempts: 8,
  /** The same again from each new word of a boot, and no longer than this in all: an MK3 takes some 12 s, and waits for its user if it has to. */
  bootMs: 60_000,
  /** No byte for this long: what a greeting left over has arrived. */
  quietMs: 60,
  identifyAttempts: 6,
  /** BUFSIZE of Marlin Configuration_adv.h; learnt from `ok P B` where the firmware tells. */
  bufferLines: 4,
  /** What a report of free slots may raise the window to, however large the number it names. */
  maxBufferLines: 64,
  /** RX_BUFFER_SIZE 128 of an AVR build less the slot its ring cannot use. */
  ringBytes: 127,
  /** Without ADVANCED_OK: how often the count of acknowledgements is proved. 1/64 costs 1.6 % of the lines. */
  markEveryLines: 64,
  /** Resend episodes on top of the rate below before the link is given up. */
  noiseBurst: 12,
  /**
   * 6 %: beyond it one line in some 4 400 is damaged twice in one bit column, which an XOR checksum cannot see (0.06^2 / 2 / 8). Below it is
   * 0.2 % a byte, at which 4.9 % of lines of 25 bytes are damaged.
   */
  noiseResendsPerLine: 0.06,
  /** Measured: 6 ms let every stale line of a window reach Marlin over a pty before the rewind. */
  settleMs: 6,
  /** Longer than a round trip under load, short enough not to show on a part; doubles up to the next value. */
  probeAfterMs: 250,
  /** On a link that damages lines a stall is most likely a lost word: a few round trips under load. */
  probeNoisyAfterMs: 40,
  /** The same at the least, where acknowledgements come faster than that: several round trips of a pty, or of a USB frame. */
  probePacedAfterMs: 12,
  /** More than a busy interval (M113 default 2 s): a controller that works on something has said so by then. */
  probeBusyAfterMs: 2_500,
  /** Between two probes at the most. A silent wait of minutes (homing, heating) must not fill a receive ring with them. */
  maxProbeAfterMs: 30_000,
  /** Three busy intervals (M113 default 2 s): a living Marlin says something in each, even in G28 or M109. */
  silenceMs: 6_000,
  /** OctoPrint's communication timeout. Busy lines and heating reports start it anew. */
  ackTimeoutMs: 30_000,
  watchMs: 25,
  idleWatchMs: 250,
  /** M155 interval in seconds. */
  autoreportS: 2,
  /** M105 interval where the firmware cannot report by itself. */
  pollMs: 2_000,
  /** `?` interval: grbl's documentation asks for at most 5 a second. */
  statusPollMs: 200,
  /** Three polls: grbl takes `?` from its receive interrupt and answers within milliseconds. */
  statusLostMs: 600,
  /** How long an emergency stop waits for `Printer halted` before it resets the board by DTR. */
  stopVerifyMs: 1_000,
  /** From feed hold to soft reset: the longest deceleration of a machine at 300 mm/s with 1000 mm/s^2, doubled. */
  holdStopMs: 600,
  /** A USB device needs about a second to enumerate again. */
  reattachRetryMs: 250,
  /** How long a board that came back may take to say that it restarted: an AVR boot loader's time. */
  reattachListenMs: 2_500,
})
