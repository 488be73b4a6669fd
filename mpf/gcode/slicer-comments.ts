/** What slicers write about a part in their comments: PrusaSlicer, SuperSlicer, OrcaSlicer, Bambu Studio, Slic3r and Cura. */

/** Facts found; lengths in micrometres, masses in milligrams, times in seconds. */
export interface SlicerFacts {
  slicer?: string
  profile?: string
  timeS?: number
  layerHeightUm?: number
  nozzleUm?: number
  readonly filamentUm: number[]
  readonly filamentMg: number[]
  readonly filamentNames: string[]
  /** The tools the lengths and masses are of, where the slicer says so; else see `materialsOf`. */
  readonly filamentTools: number[]
  readonly thumbnails: Uint8Array[]
}

const KEY_VALUE = /^; ?([A-Za-z_][A-Za-z0-9_. ()[\]]*?) ?[=:] ?(.*)$/
const THUMBNAIL_BEGIN = /^; ?thumbnail(?:_[A-Z]+)? begin [0-9]+[x ][0-9]+ ([0-9]+)/
const THUMBNAIL_END = /^; ?thumbnail(?:_[A-Z]+)? end/
const GENERATED = /^; ?(?:generated (?:by|with) (?=.)|(?=BambuStudio [0-9]))(.{1,80}?)(?: on .*)?$/i
const MAX_THUMBNAIL_CHARACTERS = 2_000_000

type Reader = (facts: SlicerFacts, value: string) => void

const READERS: Readonly<Record<string, Reader>> = {
  'estimated printing time (normal mode)': setDuration,
  // Bambu Studio: `model printing time: 5m 39s; total estimated time: 11m 27s`
  'model printing time': (facts, value) => setDuration(facts, value.replace(/^.*time: /, '')),
  TIME: setSeconds,
  'PRINT.TIME': setSeconds,
  // Cura's engine alone leaves a placeholder in TIME; the last of these is the whole.
  TIME_ELAPSED: setSeconds,
  layer_height: setLayerHeight,
  'Layer height': setLayerHeight,
  nozzle_diameter: setNozzle,
  NOZZLE_DIAMETER: setNozzle,
  'EXTRUDER_TRAIN.0.NOZZLE.DIAMETER': setNozzle,
  'filament used [mm]': (facts, value) => fill(facts.filamentUm, value, 1000),
  'total filament length [mm]': (facts, value) => fill(facts.filamentUm, value, 1000),
  'filament used [g]': (facts, value) => fill(facts.filamentMg, value, 1000),
  'total filament weight [g]': (facts, value) => fill(facts.filamentMg, value, 1000),
  'Filament used': (facts, value) => {
    if (/[0-9]m$/.test(value) && /[1-9]/.test(value)) fill(facts.filamentUm, value, 1e6)
  },
  // Slic3r: a line each tool, `16.4mm (0.1cm3)` or `2.1g`
  'filament used': (facts, value) => {
    const [, amount, unit] = /^([0-9.]+)(mm|g)\b/.exec(value) ?? []
    const list = unit === 'g' ? facts.filamentMg : facts.filamentUm
    if (amount !== undefined) list.push(Math.round(Number(amount) * 1000))
  },
  // Bambu Studio, OrcaSlicer: which of the filaments, from 1
  filament: (facts, value) => {
    if (/^[0-9, ]+$/.test(value))
      facts.filamentTools.push(...numbers(value).map(number => number - 1))
  },
  filament_type: (facts, value) => {
    facts.filamentNames.push(
      ...value
        .split(';')
        .map(name => name.trim())
        .filter(Boolean),
    )
  },
  printer_model: setProfile,
  'TARGET_MACHINE.NAME': setProfile,
}

/** Collects facts from one comment after another. */
export class SlicerComments {
  readonly facts: SlicerFacts = {
    filamentUm: [],
    filamentMg: [],
    filamentNames: [],
    filamentTools: [],
    thumbnails: [],
  }
  #thumbnail: string | undefined

  /** One comment line with its semicolon, without LF. */
  read(comment: string): void {
    if (this.#thumbnail !== undefined) return this.#readThumbnail(comment)
    if (THUMBNAIL_BEGIN.test(comment)) {
      this.#thumbnail = ''
      return
    }
    const generated = GENERATED.exec(comment)?.[1]
    if (generated !== undefined) this.facts.slicer ??= generated
    const [, key, value] = KEY_VALUE.exec(comment) ?? []
    if (key !== undefined && value !== undefined && Object.hasOwn(READERS, key))
      READERS[key]?.(this.facts, value.trim())
  }

  #readThumbnail(comment: string): void {
    if (THUMBNAIL_END.test(comment)) {
      this.facts.thumbnails.push(Buffer.from(this.#thumbnail ?? '', 'base64'))
      this.#thumbnail = undefined
    } else if ((this.#thumbnail?.length ?? 0) < MAX_THUMBNAIL_CHARACTERS) {
      this.#thumbnail += comment.replace(/^; ?/, '')
    }
  }
}

function setLayerHeight(facts: SlicerFacts, value: string): void {
  const [mm] = numbers(value)
  if (mm !== undefined) facts.layerHeightUm = Math.round(mm * 1000)
}

function setNozzle(facts: SlicerFacts, value: string): void {
  const [mm] = numbers(value)
  if (mm !== undefined) facts.nozzleUm = Math.round(mm * 1000)
}

function setProfile(facts: SlicerFacts, value: string): void {
  if (value !== '') facts.profile = value
}

function setDuration(facts: SlicerFacts, value: string): void {
  const seconds = duration(value)
  if (seconds !== undefined) facts.timeS = seconds
}

function setSeconds(facts: SlicerFacts, value: string): void {
  if (/^[0-9]{1,9}(\.[0-9]+)?$/.test(value)) facts.timeS = Math.round(Number(value))
}

/** Fills an empty list; what the slicer says a second time is the same. */
function fill(list: number[], value: string, scale: number): void {
  if (list.length === 0) list.push(...numbers(value).map(number => Math.round(number * scale)))
}

function numbers(value: string): number[] {
  return value
    .split(/[,; ]+/)
    .map(part => Number.parseFloat(part))
    .filter(Number.isFinite)
}

/** `1d 2h 3m 4s` in seconds. */
function duration(value: string): number | undefined {
  const units: Readonly<Record<string, number>> = { d: 86400, h: 3600, m: 60, s: 1 }
  const parts = [...value.matchAll(/([0-9]+)([dhms])/g)]
  if (parts.length === 0) return undefined
  return parts.reduce((sum, [, amount, unit]) => sum + Number(amount) * (units[unit ?? ''] ?? 0), 0)
}
