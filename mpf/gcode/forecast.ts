/** Whether the wire keeps up with the machine, layer by layer, and what would help: before the first line is sent. Pure. */

import type { LayerEstimate } from './estimate-layers.ts'

/** Start, eight data, stop. */
const BITS_PER_BYTE = 10
const MS_PER_S = 1000
/** Below it a layer is a fraction of what any buffer holds and says nothing. */
const MIN_COMMANDS = 64

/** What carries the lines. */
export interface ForecastLink {
  readonly baud: number
  /** Bytes a line costs beside its command: number, checksum, terminator. */
  readonly framingBytes: number
  /** Lines under way at once, and how long one takes from its last byte to its acknowledgement. */
  readonly windowLines: number
  readonly turnaroundMs: number
}

/** Another way to write the same lines, and what part of the bytes it needs, framing included. */
export interface ForecastRemedy {
  readonly name: string
  readonly ratio: number
}

/** `stutters`: the whole layer needs more than the link gives; `tight`: its densest passage does. */
export type LayerVerdict = 'flows' | 'tight' | 'stutters'

export interface LayerForecast {
  readonly layer: number
  /** Lines a second, on average and in its densest 64 moves. */
  readonly neededLinesPerS: number
  readonly peakLinesPerS: number
  readonly linkLinesPerS: number
  readonly verdict: LayerVerdict
}

export interface Forecast {
  readonly verdict: LayerVerdict
  readonly layers: readonly LayerForecast[]
  /** The worst layer and what would help, for people; one sentence when nothing is wrong. */
  readonly sentences: readonly string[]
}

/** Lines a second a link carries when each costs `lineBytes`. */
export function linkLinesPerS(link: ForecastLink, lineBytes: number): number {
  const wireMs = (lineBytes * BITS_PER_BYTE * MS_PER_S) / link.baud
  const lineMs =
    link.windowLines > 1
      ? Math.max(wireMs, link.turnaroundMs / link.windowLines)
      : wireMs + link.turnaroundMs
  return MS_PER_S / lineMs
}

/** The forecast of every layer that has commands and takes time. */
export function forecast(
  layers: readonly LayerEstimate[],
  link: ForecastLink,
  remedies: readonly ForecastRemedy[] = [],
): Forecast {
  const forecasts = layers
    .filter(({ commands, timeS }) => commands > 0 && timeS > 0)
    .map(layer => forecastLayer(layer, link))
  const stuttering = forecasts.filter(({ verdict }) => verdict === 'stutters')
  const tight = forecasts.filter(({ verdict }) => verdict === 'tight')
  const found = stuttering.length > 0 ? stuttering : tight
  const worst = found.toSorted((a, b) => strain(b) - strain(a))[0]
  if (!worst)
    return {
      verdict: 'flows',
      layers: forecasts,
      sentences: [`the link gives what every layer needs${headroom(forecasts)}`],
    }
  const bytes = lineBytesOf(layers[worst.layer], link)
  const helpful = remedies.map(remedy => ({
    ...remedy,
    linesPerS: linkLinesPerS(link, bytes * remedy.ratio),
  }))
  return {
    verdict: worst.verdict,
    layers: forecasts,
    sentences: [
      sentenceOf(worst),
      ...(found.length > 1
        ? [
            `${found.length} of ${forecasts.length} layers ${isStuttering(worst) ? 'need more than the link gives' : 'have passages denser than the link'}`,
          ]
        : []),
      ...helpful.map(remedy => helpOf(remedy, worst)),
      slowerOf(worst),
    ],
  }
}

function forecastLayer(layer: LayerEstimate, link: ForecastLink): LayerForecast {
  const neededLinesPerS = layer.commands / layer.timeS
  const gives = linkLinesPerS(link, lineBytesOf(layer, link))
  const isCounted = layer.commands >= MIN_COMMANDS
  const peakLinesPerS = Math.max(neededLinesPerS, layer.peakMovesPerS)
  const verdict =
    isCounted && neededLinesPerS > gives
      ? 'stutters'
      : isCounted && peakLinesPerS > gives
        ? 'tight'
        : 'flows'
  return { layer: layer.layer, neededLinesPerS, peakLinesPerS, linkLinesPerS: gives, verdict }
}

function lineBytesOf(layer: LayerEstimate | undefined, link: ForecastLink): number {
  const commandBytes = layer && layer.commands > 0 ? layer.commandBytes / layer.commands : 0
  return commandBytes + link.framingBytes
}

const isStuttering = ({ verdict }: LayerForecast) => verdict === 'stutters'
const wanted = (layer: LayerForecast) =>
  isStuttering(layer) ? layer.neededLinesPerS : layer.peakLinesPerS
const strain = (layer: LayerForecast) => wanted(layer) / layer.linkLinesPerS

function sentenceOf(worst: LayerForecast): string {
  const [needs, gives] = [Math.ceil(wanted(worst)), Math.floor(worst.linkLinesPerS)]
  return isStuttering(worst)
    ? `layer ${worst.layer} needs ${needs} lines/s, the link gives ${gives}: will stutter`
    : `layer ${worst.layer} needs ${needs} lines/s in its densest passage, the link gives ${gives}: may stutter there`
}

function helpOf(
  { name, linesPerS }: { readonly name: string; readonly linesPerS: number },
  worst: LayerForecast,
): string {
  const gives = `${name} would give ${Math.floor(linesPerS)} lines/s`
  return linesPerS >= wanted(worst) ? `${gives}: enough` : gives
}

function slowerOf(worst: LayerForecast): string {
  const percent = Math.max(1, Math.floor((100 * worst.linkLinesPerS) / wanted(worst)))
  return `slowed to ${percent} % it would flow`
}

function headroom(forecasts: readonly LayerForecast[]): string {
  const most = Math.max(0, ...forecasts.map(layer => layer.peakLinesPerS / layer.linkLinesPerS))
  return most > 0 ? `: at most ${Math.ceil(100 * most)} % of it` : ''
}
