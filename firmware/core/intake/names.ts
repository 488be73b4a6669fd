/** What the name of a file on a stick means, and how it may be shown. Pure: a name is attacker's text. */

/** Longest name kept for display, in characters. */
const MAX_NAME_CHARACTERS = 80
const PLAINTEXT_SUFFIXES = ['.gcode', '.gco', '.g', '.nc', '.3mf', '.bgcode', '.ufp', '.x3g']

export type NameKind = 'sealed' | 'grant' | 'plaintext' | 'other'

/** What a name promises. Names starting with a dot are a computer's own traces ('._part.mpf'), not print files. */
export function kindOfName(name: string): NameKind {
  const lower = name.toLowerCase()
  if (lower.startsWith('.')) return 'other'
  if (lower.endsWith('.mpf')) return 'sealed'
  if (lower.endsWith('.mpfg')) return 'grant'
  if (PLAINTEXT_SUFFIXES.some(suffix => lower.endsWith(suffix))) return 'plaintext'
  return 'other'
}

/**
 * The name with nothing in it that could steer a terminal or reorder text (control, format, surrogate and
 * private-use characters become '?'), and not longer than a display shows.
 */
export function displayName(name: string): string {
  const clean = name.replace(/[\p{C}\p{Zl}\p{Zp}]/gu, '?')
  const characters = [...clean]
  if (characters.length <= MAX_NAME_CHARACTERS) return clean
  return `${characters.slice(0, MAX_NAME_CHARACTERS - 1).join('')}…`
}
