/** What a simulated board reports about itself: temperatures as Marlin says them, state as grbl does. Pure. */
import type { Firmware } from './firmware.ts'
import type { Machine } from './machine.ts'

/** `T:21.00 /0.00 B:21.00 /0.00 @:0 B@:0`. Degrees Celsius. */
export function temperatureReport(machine: Machine): string {
  const hotend = machine.reading('hotend')
  const bed = machine.reading('bed')
  const chamber = machine.reading('chamber')
  // A board without one does not speak of it.
  const chamberText =
    chamber.targetC > 0 ? ` C:${chamber.currentC.toFixed(2)} /${chamber.targetC.toFixed(2)}` : ''
  return `T:${hotend.currentC.toFixed(2)} /${hotend.targetC.toFixed(2)} B:${bed.currentC.toFixed(2)} /${bed.targetC.toFixed(2)}${chamberText} @:0 B@:0`
}

/** `<Idle|WPos:0.000,0.000,0.000|FS:0,0|Bf:15,127|Ln:0>`. */
export function statusReport(firmware: Firmware): string {
  const { X, Y, Z } = firmware.machine.position
  const position = [X, Y, Z].map(mm => mm.toFixed(3)).join(',')
  const line =
    firmware.receiver.lastLine > 0 && firmware.isRunning ? `|Ln:${firmware.receiver.lastLine}` : ''
  const buffers = `|Bf:${firmware.machine.plannerFree},${firmware.receiver.freeBytes}`
  return `<${stateOf(firmware)}|WPos:${position}|FS:0,0${buffers}${line}>`
}

function stateOf(firmware: Firmware): string {
  if (firmware.isHalted) return 'Alarm'
  if (firmware.isChecking) return 'Check'
  if (firmware.isHeld) return 'Hold:0'
  return firmware.isRunning ? 'Run' : 'Idle'
}
