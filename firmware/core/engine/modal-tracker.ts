/** What a pause or an interruption must put back: modes, feed, tool, heat and settings, as the program has set them so far. Pure. */

import type { Position } from '#drivers'
import type { DialectWords } from './dialect-words.ts'

/** Feed of the moves back to where the print stopped. */
const TRAVEL_MM_PER_MIN = 6000
const DESCENT_MM_PER_MIN = 600
const MM_PER_INCH = 25.4
/** The scale of M106. */
const MAX_FAN = 255

/** A letter and its number; words need no space between them. */
const WORDS = /[A-Z]-?[\d.]*/g

/** Limits of feed and acceleration, and jerk. */
const SETTINGS = /^M20[1345]$/

type Word = readonly [letter: string, value: number]

/** Follows the commands given to the controller; they are already checked, so the parsing here may be plain. */
export class ModalTracker {
  #isRelative = false
  #isInches = false
  #isExtruderRelative = false
  /** In the program's units a minute. */
  #feed: number | undefined
  #fan: number | undefined
  #tool = 0
  #flowPercent: number | undefined
  #bedTempC: number | undefined
  /** Settings a controller forgets without power, by word: each parameter as last given. */
  readonly #settings = new Map<string, Map<string, number>>()
  readonly #hotendTempC = new Map<number, number>()

  /** As last asked for; undefined before. */
  get feedMmPerMin(): number | undefined {
    return this.#feed === undefined || !this.#isInches ? this.#feed : this.#feed * MM_PER_INCH
  }

  /** Of the part cooling fan, 0 to 100, as last asked for; undefined before. */
  get fanPercent(): number | undefined {
    return this.#fan === undefined ? undefined : Math.round((this.#fan / MAX_FAN) * 100)
  }

  /** Takes in one command as it is handed to the controller. */
  note(text: string): void {
    const [command = '', ...words] = text.match(WORDS) ?? []
    const parameters = new Map(words.map(wordOf))
    this.#noteMode(command, parameters)
    this.#noteHeat(command, parameters)
    if (SETTINGS.test(command))
      this.#settings.set(command, new Map([...(this.#settings.get(command) ?? []), ...parameters]))
  }

  /**
   * Commands for a controller that may have lost everything, with the head at the height of `zMm` above the bed: heat, clear of
   * the part, home X and Y (never Z), settings. `setHeight`: left out when the controller still knows its height.
   */
  recoverCommands(
    zMm: number,
    clearMm: number,
    setHeight: DialectWords['setHeight'],
  ): readonly string[] {
    return [
      'G21',
      ...this.#heatCommands(),
      ...(setHeight ? [setHeight(zMm)] : []),
      'G91',
      `G1 Z${mm(clearMm)} F${DESCENT_MM_PER_MIN}`,
      'G90',
      'G28 X Y',
      ...(this.#tool === 0 ? [] : [`T${this.#tool}`]),
      ...[...this.#settings].map(([word, parameters]) =>
        [word, ...[...parameters].map(([letter, value]) => `${letter}${value}`)].join(' '),
      ),
      ...(this.#flowPercent === undefined ? [] : [`M221 S${this.#flowPercent}`]),
    ]
  }

  /** Commands that bring the machine back to `position` with everything as the program left it. */
  restoreCommands(
    position: Position,
    { hasHeaters }: Pick<DialectWords, 'hasHeaters'>,
  ): readonly string[] {
    const { x, y, z, e } = position
    return [
      ...this.#heatCommands(),
      ...(this.#isInches ? ['G21'] : []),
      'G90',
      `G1 X${mm(x)} Y${mm(y)} F${TRAVEL_MM_PER_MIN}`,
      `G1 Z${mm(z)} F${DESCENT_MM_PER_MIN}`,
      ...(hasHeaters ? [`G92 E${mm(e)}`] : []),
      ...(this.#isInches ? ['G20'] : []),
      ...(this.#feed === undefined ? [] : [`G1 F${this.#feed}`]),
      ...(this.#fan === undefined ? [] : [this.#fan === 0 ? 'M107' : `M106 S${this.#fan}`]),
      this.#isRelative ? 'G91' : 'G90',
      ...(hasHeaters ? [this.#isExtruderRelative ? 'M83' : 'M82'] : []),
    ]
  }

  #heatCommands(): readonly string[] {
    const commands: string[] = []
    if (this.#bedTempC !== undefined) commands.push(`M140 S${this.#bedTempC}`)
    for (const [tool, tempC] of this.#hotendTempC) commands.push(`M104 T${tool} S${tempC}`)
    if (this.#bedTempC) commands.push(`M190 S${this.#bedTempC}`)
    const activeTempC = this.#hotendTempC.get(this.#tool)
    if (activeTempC) commands.push(`M109 T${this.#tool} S${activeTempC}`)
    return commands
  }

  #noteMode(command: string, parameters: ReadonlyMap<string, number>): void {
    if (/^T\d+$/.test(command)) this.#tool = Number(command.slice(1))
    switch (command) {
      case 'G90':
      case 'G91':
        // Marlin: G90 and G91 set the extruder's mode too, until M82 or M83.
        this.#isRelative = command === 'G91'
        this.#isExtruderRelative = this.#isRelative
        break
      case 'G20':
      case 'G21':
        this.#isInches = command === 'G20'
        break
      case 'M82':
      case 'M83':
        this.#isExtruderRelative = command === 'M83'
        break
      case 'G0':
      case 'G1':
      case 'G2':
      case 'G3':
        this.#feed = parameters.get('F') ?? this.#feed
        break
      default:
    }
  }

  #noteHeat(command: string, parameters: ReadonlyMap<string, number>): void {
    const targetC = parameters.get('S') ?? parameters.get('R')
    switch (command) {
      case 'M104':
      case 'M109':
        if (targetC !== undefined) this.#hotendTempC.set(parameters.get('T') ?? this.#tool, targetC)
        break
      case 'M140':
      case 'M190':
        this.#bedTempC = targetC ?? this.#bedTempC
        break
      case 'M106':
        this.#fan = parameters.get('S') ?? MAX_FAN
        break
      case 'M107':
        this.#fan = 0
        break
      case 'M221':
        this.#flowPercent = parameters.get('S') ?? this.#flowPercent
        break
      default:
    }
  }
}

function wordOf(text: string): Word {
  return [text.slice(0, 1), Number(text.slice(1))]
}

/** Marlin reads five decimals at most; a micrometre is finer than any axis. */
function mm(value: number): string {
  return String(Number(value.toFixed(3)))
}
