/** One G-code command in fewer bytes, proven to mean the same: spaces, zeros, signs, and words that repeat what the controller already holds. Pure. */

export interface Compactor {
  /** `text` without comment or terminator, as short as is proven equal after what went before it; never empty, never longer. */
  compact(text: string): string
  /** Something else reached the controller (a script, a jog, a reset): what it holds is not known any more. */
  forget(): void
}

/** Commands whose every parameter is a letter and a number: only these are taken apart. */
const NUMERIC = new Set(
  [
    ...['G0', 'G1', 'G2', 'G3', 'G4', 'G20', 'G21', 'G28', 'G90', 'G91', 'G92'],
    ...['M73', 'M82', 'M83', 'M104', 'M106', 'M107', 'M109', 'M140', 'M190', 'M201', 'M203'],
    ...['M204', 'M205', 'M220', 'M221', 'M400'],
  ].values(),
)
/** Of those, the ones after which feed, position and modes are what they were. The rest makes this forget. */
const HARMLESS = new Set(
  [...['G4', 'M73', 'M104', 'M106', 'M107', 'M140', 'M204', 'M205', 'M221', 'M400']].values(),
)
const MOVES = new Set(['G0', 'G1'])
const ARCS = new Set(['G2', 'G3'])
const LINEAR_AXES = new Set(['X', 'Y', 'Z'])

const COMMAND = /^([GMT])0*(\d{1,4})((?: *[A-Z](?:[-+]?(?:\d+(?:\.\d*)?|\.\d+))?)*) *$/
const PARAMETER = /([A-Z])([-+]?(?:\d+(?:\.\d*)?|\.\d+))?/g

type Parameter = readonly [letter: string, value: string]

/** What is known of the controller: canonical numbers, so that equal text is equal value. */
interface Held {
  /** By axis, in absolute coordinates. */
  readonly at: Map<string, string>
  /** Feed set last by any move, and by G0 and by the others apart: some firmware keeps two (VARIABLE_G0_FEEDRATE). */
  feed: string | undefined
  feedOfTravel: string | undefined
  feedOfWork: string | undefined
  isAbsolute: boolean | undefined
  isAbsoluteE: boolean | undefined
}

/** A compactor for one stream of commands from its beginning, before which nothing is known. */
export function createCompactor(): Compactor {
  let held = nothing()
  return {
    compact(text) {
      const [, letter = '', digits = '', rest = ''] = COMMAND.exec(text) ?? []
      const word = letter + digits
      const parameters = NUMERIC.has(word) ? parametersOf(rest) : undefined
      if (!parameters) {
        held = nothing()
        return text
      }
      const needed = neededOf(word, parameters, held)
      held = after(word, parameters, held)
      return join(word, needed)
    },
    forget() {
      held = nothing()
    },
  }
}

function nothing(): Held {
  return {
    at: new Map(),
    feed: undefined,
    feedOfTravel: undefined,
    feedOfWork: undefined,
    isAbsolute: undefined,
    isAbsoluteE: undefined,
  }
}

/** Undefined where a letter comes twice: which of the two counts is the controller's own affair. */
function parametersOf(text: string): readonly Parameter[] | undefined {
  const found: Parameter[] = []
  const letters = new Set<string>()
  for (const [, letter = '', value = ''] of text.matchAll(PARAMETER)) {
    if (letters.has(letter)) return undefined
    letters.add(letter)
    found.push([letter, canonical(value)])
  }
  return found
}

/** `+01.50` as `1.5`, `-0.0` as `0`, `0.5` as `.5`; nothing stays nothing. */
function canonical(value: string): string {
  if (value === '') return ''
  const isNegative = value.startsWith('-')
  const [whole = '', fraction = ''] = value.replace(/^[-+]/, '').split('.')
  const integer = whole.replace(/^0+/, '')
  const decimals = fraction.replace(/0+$/, '')
  if (integer === '' && decimals === '') return '0'
  return (isNegative ? '-' : '') + integer + (decimals === '' ? '' : `.${decimals}`)
}

/** The parameters that tell the controller something it does not hold; all of them where none would be left. */
function neededOf(
  word: string,
  parameters: readonly Parameter[],
  held: Held,
): readonly Parameter[] {
  if (!MOVES.has(word) && !ARCS.has(word)) return parameters
  const needed = parameters.filter(parameter => !isHeld(word, parameter, held))
  const moves = needed.some(([letter]) => letter !== 'F')
  const moved = parameters.some(([letter]) => letter !== 'F')
  return needed.length === 0 || moves !== moved ? parameters : needed
}

function isHeld(word: string, [letter, value]: Parameter, held: Held): boolean {
  if (value === '') return false
  if (letter === 'F') {
    const own = word === 'G0' ? held.feedOfTravel : held.feedOfWork
    return value === held.feed && value === own
  }
  // An arc's end says which way round it goes.
  if (ARCS.has(word)) return false
  if (LINEAR_AXES.has(letter)) return held.isAbsolute === true && value === held.at.get(letter)
  return letter === 'E' && held.isAbsoluteE === true && value === held.at.get('E')
}

function after(word: string, parameters: readonly Parameter[], held: Held): Held {
  if (MOVES.has(word) || ARCS.has(word)) return afterMove(word, parameters, held)
  if (HARMLESS.has(word)) return held
  switch (word) {
    // Marlin switches E as well, RepRapFirmware and Klipper do not: known only where both agree.
    case 'G90':
      return {
        ...held,
        isAbsolute: true,
        isAbsoluteE: held.isAbsoluteE === true ? true : undefined,
      }
    case 'G91':
      return {
        ...held,
        isAbsolute: false,
        isAbsoluteE: held.isAbsoluteE === false ? false : undefined,
      }
    case 'M82':
      return { ...held, isAbsoluteE: true }
    case 'M83':
      return { ...held, isAbsoluteE: false }
    case 'G92': {
      const isOnlyE = parameters.length === 1 && parameters[0]?.[0] === 'E'
      return isOnlyE ? moved(held, parameters) : nothing()
    }
    default:
      return nothing()
  }
}

function afterMove(word: string, parameters: readonly Parameter[], held: Held): Held {
  const next = moved(held, parameters)
  const feed = parameters.find(([letter]) => letter === 'F')?.[1]
  if (feed === undefined) return next
  next.feed = feed
  if (word === 'G0') next.feedOfTravel = feed
  else next.feedOfWork = feed
  return next
}

/** Where the axes named are now; an axis whose mode is not absolute for certain is unknown. */
function moved(held: Held, parameters: readonly Parameter[]): Held {
  const { at } = held
  for (const [letter, value] of parameters) {
    if (letter === 'F') continue
    const isAbsolute = letter === 'E' ? held.isAbsoluteE : held.isAbsolute
    if (isAbsolute === true && value !== '') at.set(letter, value)
    else at.delete(letter)
  }
  return { ...held }
}

function join(word: string, parameters: readonly Parameter[]): string {
  let text = word
  let before = word.slice(1)
  for (const [letter, value] of parameters) {
    text += (isHazard(before, letter) ? ' ' : '') + letter + value
    before = value
  }
  return text
}

/** `1E2` is a hundred and `0X10` sixteen to a firmware that reads numbers as C does, the command's own among them. */
function isHazard(before: string, letter: string): boolean {
  return letter === 'E' ? before !== '' : letter === 'X' && before === '0'
}
