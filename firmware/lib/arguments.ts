/** Command lines whose values are identifiers: one base64url text in 64 begins with a dash. */

/** No name of an option is one dash and so much behind it. */
const IDENTIFIER = /^-[A-Za-z0-9_][A-Za-z0-9_-]{14,}$/
const OPTION = /^--[a-z][a-z-]*$/

/** Joins `--tenant -OW...` to `--tenant=-OW...`, which parseArgs takes; everything else stays as it is. */
export function joinIdentifiers(args: readonly string[]): string[] {
  const joined: string[] = []
  for (const arg of args) {
    const option = joined.at(-1)
    if (option !== undefined && OPTION.test(option) && IDENTIFIER.test(arg))
      joined.splice(-1, 1, `${option}=${arg}`)
    else joined.push(arg)
  }
  return joined
}
