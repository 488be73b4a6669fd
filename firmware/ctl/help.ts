/** The manual, from the command table. Pure. */

import type { Command, OptionTable } from './command.ts'

/** Options every command takes. */
export const GLOBAL_OPTIONS = {
  socket: {
    type: 'string',
    value: 'PATH',
    help: 'the control socket (else MPFD_SOCKET, else /run/mpfd/control.sock)',
  },
  timeout: { type: 'string', value: 'S', help: 'seconds to wait for an answer (default 60)' },
  json: { type: 'boolean', help: 'one JSON document; JSON lines for watch and events --follow' },
  help: { type: 'boolean', help: 'this page' },
  version: { type: 'boolean', help: 'the version of mpfctl' },
} as const satisfies OptionTable

const EXIT_STATUS = [
  ['0', 'done; for watch and print --watch: the job is done'],
  ['2', 'the command line is wrong'],
  ['3', 'the core cannot be reached, or does not answer as it should'],
  ['4', 'the core refused; the code on stderr says why'],
  ['5', 'the watched job failed, was refused or was cancelled'],
  ['6', 'the event log is not intact'],
  ['130', 'interrupted; a running print goes on'],
] as const

const WIDTH = 76

/** The page of the whole program. */
export function renderOverview(commands: readonly Command[]): string {
  return page([
    ['NAME', ['mpfctl - see and steer the printer']],
    ['SYNOPSIS', ['mpfctl [OPTION]... COMMAND [ARGUMENT]...']],
    ['COMMANDS', table(commands.map(command => [synopsisOf(command), command.summary]))],
    ['OPTIONS', optionLines(GLOBAL_OPTIONS)],
    ['EXIT STATUS', table(EXIT_STATUS)],
    ['SEE ALSO', ['mpfctl COMMAND --help; mpfctl explain CODE for any code mpfctl shows']],
  ])
}

/** The page of one command. */
export function renderCommandHelp(command: Command): string {
  const hasOptions = Object.keys(command.options).length > 0
  return page([
    ['NAME', [`mpfctl ${command.name} - ${command.summary}`]],
    ['SYNOPSIS', [`mpfctl [OPTION]... ${synopsisOf(command)}`]],
    [
      'DESCRIPTION',
      command.description.flatMap((text, index) => [...(index > 0 ? [''] : []), ...wrap(text)]),
    ],
    ...(hasOptions ? ([['OPTIONS', optionLines(command.options)]] as const) : []),
    ['OPTIONS OF EVERY COMMAND', optionLines(GLOBAL_OPTIONS)],
    ['EXIT STATUS', table(EXIT_STATUS)],
  ])
}

function synopsisOf(command: Command): string {
  const options = Object.entries(command.options).map(([name, { value }]) =>
    value === undefined ? `[--${name}]` : `[--${name} ${value}]`,
  )
  return [command.name, command.operands, ...options].filter(word => word !== '').join(' ')
}

function optionLines(options: OptionTable): readonly string[] {
  return table(
    Object.entries(options).map(([name, { value, help }]) => [
      value === undefined ? `--${name}` : `--${name} ${value}`,
      help,
    ]),
  )
}

const LABEL_CELLS = 18

function table(rows: readonly (readonly [string, string])[]): readonly string[] {
  return rows.flatMap(([label, text]) => {
    const [first = '', ...rest] = wrap(text, WIDTH - LABEL_CELLS)
    const indented = rest.map(line => ' '.repeat(LABEL_CELLS) + line)
    if (label.length >= LABEL_CELLS) return [label, ' '.repeat(LABEL_CELLS) + first, ...indented]
    return [label.padEnd(LABEL_CELLS) + first, ...indented]
  })
}

/** Text broken at spaces into lines of at most `width` characters. */
export function wrap(text: string, width = WIDTH): readonly string[] {
  const lines: string[] = []
  let line = ''
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line)
      line = word
    } else line = line === '' ? word : `${line} ${word}`
  }
  return [...lines, line]
}

function page(sections: readonly (readonly [string, readonly string[]])[]): string {
  return sections
    .map(([heading, lines]) =>
      [heading, ...lines.map(line => (line === '' ? '' : `    ${line}`)), ''].join('\n'),
    )
    .join('\n')
}
