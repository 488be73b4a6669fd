/** G-code to packed blocks, and what is told about lines changed and refused; shared by seal and lint. */

import type { ParseArgsOptionsConfig } from 'node:util'
import { loadConfig } from '#config'
import { createAdvisor } from '#lib/advice.ts'
import {
  checkMachine,
  type MachineProfile,
  MpfError,
  ProgramPacker,
  policyFor,
  type SignedPolicy,
} from '#mpf'
import type { CommandContext } from './command.ts'
import { EXIT } from './errors.ts'
import { createProgress } from './progress.ts'

const MAX_SHOWN = 20
/** What only tells, labels, films or checks: stripped, the same part is printed. Settings of motion are not among them. */
const HARMLESS = [
  ...['M31', 'M75', 'M76', 'M77', 'M115', 'M117', 'M118', 'M300', 'M486', 'M555', 'M862'],
  ...['EXCLUDE_OBJECT_DEFINE', 'EXCLUDE_OBJECT_START', 'EXCLUDE_OBJECT_END'],
  ...['SET_PRINT_STATS_INFO', 'SET_DISPLAY_TEXT', 'TIMELAPSE_TAKE_FRAME', 'TIMELAPSE_RENDER'],
]

export const PACK_OPTIONS = {
  strip: { type: 'string' },
  profile: { type: 'string' },
  level: { type: 'string' },
} as const satisfies ParseArgsOptionsConfig

export const PACK_HELP = `  --strip WORDS    comma-separated words and macros whose lines are emptied (M117,M862); each is reported. 'harmless' stands
                   for what only tells, labels, films or checks:
                   ${HARMLESS.slice(0, 11).join(' ')}
                   ${HARMLESS.slice(11, 14).join(' ')}
                   ${HARMLESS.slice(14).join(' ')}
  --profile FILE   a printer's configuration: refuse now what that printer would refuse, line by line
  --level N        zstd level 1 to 22 (default 19)`

export function createPacker(
  context: CommandContext,
  profile: MachineProfile | undefined,
): ProgramPacker {
  const progress = createProgress('sealing')
  let bytes = 0
  return new ProgramPacker({
    level: context.integer('level', [1, 22], 19),
    strip: wordsToStrip(context.text('strip') ?? ''),
    ...(profile && { profile }),
    onProgress(blockBytes) {
      bytes += blockBytes
      progress(bytes)
    },
  })
}

function wordsToStrip(list: string): ReadonlySet<string> {
  const words = list.split(/[ ,]+/).filter(Boolean)
  return new Set(words.flatMap(word => (word === 'harmless' ? HARMLESS : word.toUpperCase())))
}

/** The profile named by --profile. @throws ConfigError */
export async function profileOf(context: CommandContext): Promise<MachineProfile | undefined> {
  const file = context.text('profile')
  return file === undefined ? undefined : (await loadConfig(file)).printer.profile
}

/**
 * The policy of a packed program. It must fit the profile, if there is one: what no line shows by itself is refused here, a
 * nozzle, a model, or a limit met so closely that what is signed, rounded outwards, would pass it.
 * @throws MpfError MPF_POLICY; MPF_SIZE for a program that does nothing
 */
export function policyOf(
  packer: ProgramPacker,
  profile: MachineProfile | undefined,
  models: readonly string[],
): SignedPolicy {
  if (packer.lines === 0) throw new MpfError('MPF_SIZE', 'an empty program')
  const policy = policyFor(packer.limits(), { models, nozzleUm: packer.facts.nozzleUm ?? 0 })
  if (packer.refusedLines > 0) return policy
  if (policy.words.length === 0) throw new MpfError('MPF_SIZE', 'no line holds a command')
  if (profile) checkMachine(policy, profile)
  return policy
}

/** What the writer changed in the slicer's text: never silently. */
export function reportChanges(context: CommandContext, packer: ProgramPacker): void {
  const { carriageReturns, tabs, commentBytes, cutComments, stripped } = packer.report
  const changes = [
    [carriageReturns, 'CR LF line ends became LF'],
    [tabs, 'tabs became spaces'],
    [commentBytes, 'bytes of comments that are not ASCII became ?'],
    [cutComments, 'comments were cut to 256 bytes'],
  ] as const
  for (const [times, what] of changes) if (times > 0) context.note(`mpf: ${times} ${what}`)
  if (packer.lines > 0 && packer.layers === 0)
    context.note('mpf: no layer marks found: previews and position audits are of the whole program')
  for (const [word, lines] of stripped)
    context.note(`mpf: stripped ${word} in ${lines.length} lines (first: line ${lines[0]})`)
}

/** Tells which lines were refused; the exit code. */
export async function refuse(context: CommandContext, packer: ProgramPacker): Promise<number> {
  if (context.isJson)
    context.print(
      JSON.stringify({ ok: false, refusedLines: packer.refusedLines, refused: packer.refused }),
    )
  for (const { code, line, word, problem } of packer.refused.slice(0, MAX_SHOWN))
    context.note(`mpf: ${code}: line ${line}: ${word === undefined ? '' : `${word}: `}${problem}`)
  for (const [word, lines] of Map.groupBy(packer.refused, ({ word }) => word ?? 'no command'))
    context.note(`mpf: ${word}: ${lines.length} lines refused (first: line ${lines[0]?.line})`)
  context.note(`mpf: ${packer.refusedLines} lines refused; nothing was written`)
  const advisor = createAdvisor()
  for (const code of new Set(packer.refused.map(({ code }) => code)))
    context.note(`  ${(await advisor.find(code))?.action ?? code}`)
  return EXIT.CONTENT
}
