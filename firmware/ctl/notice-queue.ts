/** Holds what the core told until somebody asks for it, without growing: stale progress gives way. */

import type { Notice } from './client.ts'
import { CtlError } from './errors.ts'

/** More events than this waiting means nobody reads them. */
const MAX_WAITING = 10_000

export interface NoticeQueue {
  push(notice: Notice): void
  /** Every later and waiting `next` rejects with `reason` once the queue is empty. */
  end(reason: unknown): void
  next(): Promise<Notice>
}

export function createNoticeQueue(): NoticeQueue {
  const held: Notice[] = []
  let reader: { resolve(notice: Notice): void; reject(error: unknown): void } | undefined
  let ended: { readonly reason: unknown } | undefined

  return {
    push(notice) {
      if (reader) {
        reader.resolve(notice)
        reader = undefined
        return
      }
      if (notice.kind === 'progress' && held.at(-1)?.kind === 'progress') held.pop()
      if (held.length >= MAX_WAITING)
        throw new CtlError('CTL_PROTOCOL', `${held.length} events waiting`)
      held.push(notice)
    },
    end(reason) {
      ended = { reason }
      reader?.reject(reason)
      reader = undefined
    },
    next() {
      const notice = held.shift()
      if (notice) return Promise.resolve(notice)
      if (ended) return Promise.reject(ended.reason)
      return new Promise((resolve, reject) => {
        reader = { resolve, reject }
      })
    },
  }
}
