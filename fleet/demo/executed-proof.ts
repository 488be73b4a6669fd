/** Compares what a controller executed with what was sealed, while it happens, in memory only. */

import { readFile } from 'node:fs/promises'
import { zstdDecompressSync } from 'node:zlib'

/** What mpfd sends of its own accord: handshake, reports, drain, heaters off at the end, and the numbered marks that tell one `ok` from another. */
const HOST_COMMAND =
  /^(?:M110 N\d+|M115|M155 S\d+|M105|M400|M114|M104 S0|M140 S0|M107|M220 S100|M221 S100|M86 S\d+|M118 q\d+)$/

export interface ProofResult {
  /** Program commands executed in order, equal to the byte. */
  readonly programLines: number
  /** Executed commands that are neither the next program command nor mpfd's own. */
  readonly differences: readonly string[]
  readonly hostLines: number
  readonly hostWords: ReadonlyMap<string, number>
}

export class ExecutedProof {
  readonly #expected: readonly string[]
  readonly #hostWords = new Map<string, number>()
  #at = 0
  #differences: string[] = []

  constructor(expected: readonly string[]) {
    this.#expected = expected
  }

  /** One command as the controller executed it, without number and checksum. */
  executed(command: string): void {
    if (command === this.#expected[this.#at]) {
      this.#at++
      return
    }
    const [word = ''] = command.split(' ')
    if (HOST_COMMAND.test(command)) this.#hostWords.set(word, (this.#hostWords.get(word) ?? 0) + 1)
    else this.#differences.push(command)
  }

  result(): ProofResult {
    return {
      programLines: this.#at,
      differences: this.#differences,
      hostLines: [...this.#hostWords.values()].reduce((sum, times) => sum + times, 0),
      hostWords: this.#hostWords,
    }
  }
}

/** The commands of a G-code file, found without any code of `mpf/`, and the slicer's time estimate. */
export async function readCommands(
  path: string,
): Promise<{ readonly commands: readonly string[]; readonly timeS: number | undefined }> {
  const file = await readFile(path)
  const text = (path.endsWith('.zst') ? zstdDecompressSync(file) : file).toString('latin1')
  const commands = text
    .split('\n')
    .map(line => line.replace(/;.*/, '').trim())
    .filter(command => command !== '')
  const [, time] = /estimated printing time \(normal mode\) = (.*)/.exec(text) ?? []
  const units: Readonly<Record<string, number>> = { d: 86_400, h: 3600, m: 60, s: 1 }
  const parts = [...(time ?? '').matchAll(/(\d+)([dhms])/g)]
  const timeS = parts.reduce(
    (sum, [, amount, unit = '']) => sum + Number(amount) * (units[unit] ?? 0),
    0,
  )
  return { commands, timeS: parts.length === 0 ? undefined : timeS }
}
