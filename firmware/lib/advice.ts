/** What to do about a code: read from docs/errors.md, the one place where advice is written. */

import { readFile } from 'node:fs/promises'
import { join } from 'node:path'

const ERRORS_DOCUMENT = join(import.meta.dirname, '../../docs/errors.md')

export interface Advice {
  readonly code: string
  /** The heading its table stands under. */
  readonly section: string
  readonly happened: string
  readonly action: string
}

export interface Advisor {
  /** Undefined for a code the document does not know, or when the document is not installed. */
  find(code: string): Promise<Advice | undefined>
  list(): Promise<readonly Advice[]>
}

const HEADING = /^## (.+)$/
const ROW = /^\| `([A-Z][A-Z0-9_]+)` \| (.+?) \| (.+?) \|$/

/** Every row of the document's tables, in order. Pure. */
export function parseAdvice(document: string): readonly Advice[] {
  const found: Advice[] = []
  let section = ''
  for (const line of document.split('\n')) {
    section = HEADING.exec(line)?.[1] ?? section
    const [, code, happened, action] = ROW.exec(line) ?? []
    if (code && happened && action) found.push({ code, section, happened, action })
  }
  return found
}

/** Reads the document when first asked. A missing one gives no advice, never an error on top of an error. */
export function createAdvisor(path = ERRORS_DOCUMENT): Advisor {
  let read: Promise<readonly Advice[]> | undefined
  const list = (): Promise<readonly Advice[]> => {
    read ??= readFile(path, 'utf8').then(parseAdvice, () => [])
    return read
  }
  return {
    list,
    find: async code => (await list()).find(advice => advice.code === code),
  }
}
