/** What each G-code word does to the simulated board: at once, or as a wait that ends. Pure. */
import type { Firmware } from './firmware.ts'
import type { HeaterName, Machine } from './machine.ts'

/** A command that cannot finish yet. Times in machine milliseconds. */
export interface Block {
  readonly isHeating: boolean
  readonly isDone: (machine: Machine) => boolean
  readonly untilMs: (machine: Machine) => number
  readonly finish?: (firmware: Firmware) => void
}

type Command = (firmware: Firmware, text: string) => Block | undefined

/** grbl: the command needs a machine that stands, and is not in check mode. */
const NOT_IDLE = 'error:8'
/** G28 of a small machine, in machine milliseconds. */
const HOMING_MS = 8_000

const COMMANDS: Readonly<Record<string, Command>> = {
  G0: move,
  G1: move,
  G4: dwell,
  G28: home,
  G90: firmware => setRelative(firmware, false),
  G91: firmware => setRelative(firmware, true),
  G92: setPosition,
  M82: firmware => setRelativeE(firmware, false),
  M83: firmware => setRelativeE(firmware, true),
  M104: (firmware, text) => setTarget(firmware, 'hotend', text),
  M140: (firmware, text) => setTarget(firmware, 'bed', text),
  M141: (firmware, text) => setTarget(firmware, 'chamber', text),
  M109: (firmware, text) => heatAndWait(firmware, 'hotend', text),
  M190: (firmware, text) => heatAndWait(firmware, 'bed', text),
  M191: (firmware, text) => heatAndWait(firmware, 'chamber', text),
  M112: firmware => {
    firmware.kill('echo:M112 Shutdown')
    return undefined
  },
  M114: firmware => {
    const { X, Y, Z, E } = firmware.machine.position
    firmware.answer(
      'M114',
      `${firmware.personality.positionPrefix}X:${X.toFixed(firmware.personality.positionDecimals)} Y:${Y.toFixed(firmware.personality.positionDecimals)} Z:${Z.toFixed(firmware.personality.positionDecimals)} E:${E.toFixed(firmware.personality.positionDecimals)} Count X:0 Y:0 Z:0`,
    )
    return undefined
  },
  M115: firmware => {
    firmware.personality.identify(firmware)
    return undefined
  },
  $I: firmware => {
    firmware.personality.identify(firmware)
    return undefined
  },
  $C: firmware => {
    if (firmware.personality.checkMode === undefined) firmware.answerUnknown('$C')
    else if (!firmware.machine.isIdle) firmware.refuse(NOT_IDLE)
    else {
      firmware.isChecking = true
      firmware.reply('[MSG:Enabled]')
    }
    return undefined
  },
  M118: (firmware, text) => {
    firmware.reply(text.slice('M118'.length).trimStart())
    return undefined
  },
  M155: (firmware, text) => {
    if (firmware.options.hasAutoreport) firmware.setAutoreport((word(text, 'S') ?? 0) * 1000)
    return undefined
  },
  STATUS: firmware => {
    for (const line of firmware.personality.greeting) firmware.reply(line)
    return undefined
  },
  M400: waitForMoves,
  M410: firmware => {
    firmware.machine.quickStop()
    return undefined
  },
}

/** Words every Marlin knows and this board needs not act on. */
const INERT = new Set(
  'G21 G17 M3 M4 M5 M7 M8 M9 M17 M18 M73 M75 M77 M84 M92 M105 M106 M107 M108 M110 M113 M117 M201 M203 M204 M205 M211 M220 M221 M300 M413 M900 T0'.split(
    ' ',
  ),
)

/** Executes one command; a returned block holds the queue until it is done. */
export function execute(firmware: Firmware, text: string): Block | undefined {
  if (text === '') return undefined
  const code = codeOf(text)
  const command = firmware.isSpoken(code) ? COMMANDS[code] : undefined
  if (command) return command(firmware, text)
  if (!INERT.has(code) || !firmware.isSpoken(code)) firmware.answerUnknown(text)
  return undefined
}

/** Takes one command in check mode: its words count, its effect does not. `$C` ends the mode by a reset, once acknowledged. */
export function check(firmware: Firmware, text: string): void {
  const isAsked = text === '$I' && firmware.personality.checkMode?.identifies
  if (text === '$C') {
    for (const line of ['[MSG:Disabled]', 'ok']) firmware.reply(line)
    firmware.softReset()
  } else if (isAsked) firmware.personality.identify(firmware)
  else if (text.startsWith('$')) firmware.refuse(NOT_IDLE)
  else if (text !== '' && !(isKnown(text) && firmware.isSpoken(codeOf(text))))
    firmware.answerUnknown(text)
}

/** Whether the firmware has a word for `text`; what it does not know, it does not execute. */
export function isKnown(text: string): boolean {
  const code = codeOf(text)
  return Object.hasOwn(COMMANDS, code) || INERT.has(code)
}

/** `G01 X1` is G1: spaces and leading zeros after the letter do not count. */
function codeOf(text: string): string {
  let i = 1
  while (text.charCodeAt(i) === 0x20) i++
  let number = 0
  const first = i
  for (; isDigit(text.charCodeAt(i)); i++) number = number * 10 + text.charCodeAt(i) - 0x30
  return i === first ? text : `${text[0]}${number}`
}

function isDigit(code: number): boolean {
  return code >= 0x30 && code <= 0x39
}

function word(text: string, letter: string): number | undefined {
  const at = text.indexOf(letter, 1)
  if (at < 0) return undefined
  const value = Number.parseFloat(text.slice(at + 1))
  return Number.isNaN(value) ? undefined : value
}

function moveWords(text: string): { [axis in 'X' | 'Y' | 'Z' | 'E' | 'F']?: number } {
  const words: { [axis in 'X' | 'Y' | 'Z' | 'E' | 'F']?: number } = {}
  for (const axis of ['X', 'Y', 'Z', 'E', 'F'] as const) {
    const value = word(text, axis)
    if (value !== undefined) words[axis] = value
  }
  return words
}

function move(firmware: Firmware, text: string): Block | undefined {
  if (firmware.machine.plannerFree > 0) {
    firmware.machine.move(moveWords(text))
    return undefined
  }
  return {
    isHeating: false,
    isDone: machine => machine.plannerFree > 0,
    untilMs: machine => machine.nextBlockEndMs,
    finish: ({ machine }) => machine.move(moveWords(text)),
  }
}

function dwell(firmware: Firmware, text: string): Block {
  const dwellMs = word(text, 'P') ?? (word(text, 'S') ?? 0) * 1000
  return waitUntil(firmware, firmware.machine.plannerEndMs + dwellMs)
}

function home(firmware: Firmware): Block {
  const { position } = firmware.machine
  const block = waitUntil(firmware, firmware.machine.plannerEndMs + HOMING_MS)
  return {
    ...block,
    finish: board => {
      Object.assign(position, { X: 0, Y: 0, Z: 0 })
      if (board.personality.reportsHoming)
        board.reply(`X:0.00 Y:0.00 Z:0.00 E:${position.E.toFixed(2)} Count X:0 Y:0 Z:0`)
    },
  }
}

function waitForMoves(firmware: Firmware): Block {
  return waitUntil(firmware, firmware.machine.plannerEndMs)
}

function waitUntil(firmware: Firmware, endMs: number): Block {
  firmware.machine.expectPause()
  return {
    isHeating: false,
    isDone: () => firmware.machineMs >= endMs && firmware.machine.isIdle,
    untilMs: () => endMs,
  }
}

function heatAndWait(firmware: Firmware, heater: HeaterName, text: string): Block {
  setTarget(firmware, heater, text)
  firmware.machine.expectPause()
  return {
    isHeating: true,
    isDone: machine => machine.heatingMs(heater) === 0,
    untilMs: machine => firmware.machineMs + machine.heatingMs(heater),
  }
}

function setTarget(firmware: Firmware, heater: HeaterName, text: string): undefined {
  const targetC = word(text, 'S') ?? word(text, 'R')
  if (targetC !== undefined) firmware.machine.setTarget(heater, targetC)
}

function setRelative(firmware: Firmware, isRelative: boolean): undefined {
  firmware.machine.isRelative = isRelative
  firmware.machine.isRelativeE = isRelative
}

function setRelativeE(firmware: Firmware, isRelative: boolean): undefined {
  firmware.machine.isRelativeE = isRelative
}

function setPosition(firmware: Firmware, text: string): undefined {
  const { F: _feedrate, ...axes } = moveWords(text)
  Object.assign(firmware.machine.position, axes)
}
