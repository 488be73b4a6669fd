/** The G-code words MPF has a model for, and the parameters each may carry. A word without a model is refused, whatever a policy says. */

/** What a word does to the machine state; `none` has no effect on position, heaters or modes. */
export type WordEffect =
  | 'none'
  | 'move'
  | 'arc'
  | 'home'
  | 'release'
  | 'feedFactor'
  | 'retraction'
  | 'inches'
  | 'millimetres'
  | 'absolute'
  | 'relative'
  | 'setPosition'
  | 'absoluteE'
  | 'relativeE'
  | 'hotend'
  | 'toolTemperature'
  | 'bed'
  | 'chamber'
  | 'fan'
  | 'fanOff'
  | 'flow'
  | 'tool'

interface WordModel {
  readonly effect: WordEffect
  /** Letters of the parameters it may carry. */
  readonly parameters: string
}

const model = (effect: WordEffect, parameters = ''): WordModel => ({ effect, parameters })

/** Letters as in Marlin 2 and RepRapFirmware 3; only those that keep to the modelled effect. */
export const WORDS: Readonly<Record<string, WordModel>> = {
  G0: model('move', 'XYZEF'),
  G1: model('move', 'XYZEF'),
  G2: model('arc', 'XYZEFIJP'), // P: Marlin's number of turns, in OrcaSlicer's spiral lifts
  G3: model('arc', 'XYZEFIJP'),
  G4: model('none', 'PS'),
  G10: model('toolTemperature', 'PSR'), // RepRapFirmware: P tool, S active, R standby
  G11: model('none'),
  G17: model('none'),
  G20: model('inches'),
  G21: model('millimetres'),
  G28: model('home', 'XYZW'),
  G29: model('home', 'ASPT'), // probing leaves the nozzle somewhere
  G80: model('home'), // Prusa: mesh levelling
  G90: model('absolute'),
  G91: model('relative'),
  G92: model('setPosition', 'E'), // X, Y, Z would move the envelope under the program
  M17: model('none', 'XYZE'),
  M18: model('release', 'XYZES'),
  M73: model('none', 'PRQSCD'),
  M82: model('absoluteE'),
  M83: model('relativeE'),
  M84: model('release', 'XYZES'),
  M104: model('hotend', 'ST'),
  M105: model('none', 'T'),
  M106: model('fan', 'SP'),
  M107: model('fanOff', 'P'),
  M109: model('hotend', 'SRT'),
  M116: model('none', 'PH'),
  M140: model('bed', 'S'),
  M141: model('chamber', 'S'),
  M190: model('bed', 'SR'),
  M191: model('chamber', 'SR'),
  M201: model('none', 'XYZE'),
  M203: model('none', 'XYZE'),
  M204: model('none', 'SPRT'),
  M205: model('none', 'XYZEBSTJ'),
  M207: model('retraction', 'SFZRW'),
  M208: model('retraction', 'SFR'),
  M220: model('feedFactor', 'SB'),
  M221: model('flow', 'S'), // T would set the flow of a tool that is not followed
  M400: model('none'),
  M420: model('none', 'SZ'),
  M486: model('none', 'STPUC'),
  M566: model('none', 'XYZE'),
  M572: model('none', 'DS'),
  M593: model('none', 'FDXY'),
  M862: model('none', 'PQ'), // Prusa M862.x: checks only
  M900: model('none', 'KTL'),
  T0: model('tool'),
  T1: model('tool'),
  T2: model('tool'),
  T3: model('tool'),
}
