/** What slicers write about a part in their comments: PrusaSlicer, SuperSlicer, OrcaSlicer, Slic3r and Cura. */

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
  readonly thumbnails: Uint8Array[]
}

const KEY_VALUE = /^; ?([A-Za-z_][A-Za-z0-9_ ()[\]]*?) ?[=:] ?(.*)$/
const THUMBNAIL_BEGIN = /^; thumbnail(?:_[A-Z]+)? begin [0-9]+[x ][0-9]+ ([0-9]+)/
const THUMBNAIL_END = /^; thumbnail(?:_[A-Z]+)? end/
const GENERATED = /^; ?generated (?:by|with) (.{1,80}?)(?: on .*)?$/i
const MAX_THUMBNAIL_CHARACTERS = 2_000_000

type Reader = (facts: SlicerFacts, value: string) => void

const READERS: Readonly<Record<string, Reader>> = {
  'estimated printing time (normal mode)': (facts, value) => {
    const seconds = duration(value)
    if (seconds !== undefined) facts.timeS = seconds
  },
  TIME: (facts, value) => {
    if (/^[0-9]+$/.test(value)) facts.timeS = Number(value)
  },
  layer_height: setLayerHeight,
  'Layer height': setLayerHeight,
  nozzle_diameter: (facts, value) => {
    const [first] = numbers(value)
    if (first !== undefined) facts.nozzleUm = Math.round(first * 1000)
  },
  'filament used [mm]': (facts, value) => {
    facts.filamentUm.push(...numbers(value).map(mm => Math.round(mm * 1000)))
  },
  'Filament used': (facts, value) => {
    if (/[0-9]m$/.test(value))
      facts.filamentUm.push(...numbers(value).map(m => Math.round(m * 1e6)))
  },
  'filament used [g]': (facts, value) => {
    facts.filamentMg.push(...numbers(value).map(g => Math.round(g * 1000)))
  },
  filament_type: (facts, value) => {
    facts.filamentNames.push(
      ...value
        .split(';')
        .map(name => name.trim())
        .filter(Boolean),
    )
  },
  printer_model: (facts, value) => {
    if (value !== '') facts.profile = value
  },
}

/** Collects facts from one comment after another. */
export class SlicerComments {
  readonly facts: SlicerFacts = {
    filamentUm: [],
    filamentMg: [],
    filamentNames: [],
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
