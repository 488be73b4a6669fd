/** The adversarial kit: one failure each, named by the code it must give. A second reader of the format can be tested with it. */
import type { Case } from './mpf-cases/case.ts'
import { CONTAINER } from './mpf-cases/container.ts'
import { CONTENT } from './mpf-cases/content.ts'
import { GRANTS } from './mpf-cases/grants.ts'
import { INTEGRITY } from './mpf-cases/integrity.ts'
import { KEYS } from './mpf-cases/keys.ts'
import { MANIFEST } from './mpf-cases/manifest.ts'
import { MODAL, PROGRAM, STILL } from './mpf-cases/program.ts'

export { type Case, payloadOf } from './mpf-cases/case.ts'

export const CASES: readonly Case[] = [
  ...CONTAINER,
  ...MANIFEST,
  ...GRANTS,
  ...KEYS,
  ...INTEGRITY,
  ...CONTENT,
  ...PROGRAM,
  ...STILL,
  ...MODAL,
]
