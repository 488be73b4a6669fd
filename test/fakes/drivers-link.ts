/** A port that remembers what is written and says nothing by itself. */
import type { SerialLink } from '../../drivers/serial-link.ts'

export function fakeLink(written: string[] = []): SerialLink {
  return {
    path: '',
    hasResetLine: false,
    write: text => written.push(text) > 0,
    checkPresence: () => undefined,
    drained: async () => undefined,
    pulseReset: async () => false,
    close: async () => undefined,
  }
}
