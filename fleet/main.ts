/** The `fleet` program: which verb, its manual, its exit status. */

import { toldVersion } from '#lib/version.ts'
import { FleetError } from './errors.ts'
import { parseCommandLine, say, type Verb } from './verb.ts'
import { client, printer, server, tenant, token } from './verbs/administer.ts'
import { command } from './verbs/command.ts'
import { gateway } from './verbs/gateway.ts'
import { jobs } from './verbs/jobs.ts'
import { events, watch } from './verbs/look.ts'
import { proof } from './verbs/proof.ts'
import { serve } from './verbs/serve.ts'
import { sparkplug } from './verbs/sparkplug.ts'
import { web } from './verbs/web.ts'

const VERBS: Readonly<Record<string, Verb>> = {
  ...{ tenant, server, client, token, printer, serve },
  ...{ jobs, gateway, web, sparkplug, command, watch, events, proof },
}
const EXIT = { ok: 0, fault: 1, usage: 2 } as const

/** Runs one verb; resolves with the exit status. */
export async function main(args: readonly string[]): Promise<number> {
  if (await toldVersion('fleet', args)) return EXIT.ok
  const ending = new AbortController()
  for (const name of ['SIGTERM', 'SIGINT'] as const) process.once(name, () => ending.abort())
  try {
    const { values, positionals } = parseLine(args)
    const [first = '', ...operands] = positionals
    const isHelp = first === 'help' || values.help
    const word = first === 'help' ? (operands[0] ?? '') : first
    const verb = Object.hasOwn(VERBS, word) ? VERBS[word] : undefined
    if (isHelp) {
      say(verb ? page(word, verb) : overview())
      return EXIT.ok
    }
    if (!verb) throw new FleetError('FLEET_USAGE', word === '' ? 'no verb' : 'no such verb')
    await verb.run(values, operands, ending.signal)
    return EXIT.ok
  } catch (error) {
    if (ending.signal.aborted) return EXIT.ok
    return tell(error)
  }
}

function parseLine(args: readonly string[]): ReturnType<typeof parseCommandLine> {
  try {
    return parseCommandLine(args)
  } catch (cause) {
    throw new FleetError('FLEET_USAGE', (cause as Error).message, { cause })
  }
}

function overview(): string {
  const width = Math.max(...Object.keys(VERBS).map(word => word.length))
  const verbs = Object.entries(VERBS).map(
    ([word, { summary }]) => `  ${word.padEnd(width)}  ${summary}`,
  )
  return `NAME
  fleet - the other end of mpfd printers: enrol them, send them jobs and commands, receive and prove what they tell

SYNOPSIS
  fleet --tenant DIR VERB ...
  fleet help VERB

VERBS
${verbs.join('\n')}

EXIT STATUS
  0 done, 1 failed (a code of docs/errors.md is on standard error), 2 wrong usage`
}

function page(word: string, { summary, synopsis, description }: Verb): string {
  const indented = description.replaceAll(/^(?=.)/gm, '  ')
  return `NAME
  fleet ${word} - ${summary}

SYNOPSIS
${synopsis.map(line => `  fleet --tenant DIR ${line}`).join('\n')}

DESCRIPTION
${indented}`
}

function tell(error: unknown): number {
  const isUsage = error instanceof FleetError && error.code === 'FLEET_USAGE'
  const message = error instanceof Error ? error.message : 'unknown'
  const code = error instanceof Error && 'code' in error ? `${String(error.code)}: ` : ''
  process.stderr.write(`fleet: ${code}${message}\n`)
  return isUsage ? EXIT.usage : EXIT.fault
}

if (import.meta.main) process.exit(await main(process.argv.slice(2)))
