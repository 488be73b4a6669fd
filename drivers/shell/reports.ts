/** What a reply means to whoever listens: an event, a fault, or nothing. Pure. */
import type { ControllerEvent } from '../controller.ts'
import { DriverError } from '../errors.ts'
import type { Reply } from '../reply.ts'

/** The event a reply is told as, if any. Acknowledgements and resends are the window's to tell. */
export function eventOf(reply: Reply): ControllerEvent | undefined {
  switch (reply.kind) {
    case 'ok':
      return reply.report && eventOf(reply.report)
    case 'temperatures':
    case 'okTemperatures':
      return { kind: 'temperatures', temperatures: reply.temperatures }
    case 'busy':
    case 'position':
    case 'action':
      return reply
    case 'status':
      return reply.position && { kind: 'position', position: reply.position }
    case 'echo':
    case 'message':
    case 'damagedOk':
      return { kind: 'message', text: reply.text }
    default:
      return undefined
  }
}

/** True for what a controller says while a command takes long. Heating waits report so, and nothing else, on builds without busy lines. */
export function isWorking(reply: Reply): boolean {
  if (reply.kind === 'status') return /^(?:Run|Jog|Home|Hold|Door|Tool)/.test(reply.state)
  return reply.kind === 'busy' || (reply.kind === 'temperatures' && reply.isWaiting)
}

/** The fault a reply is, if any: nothing sent before it counts any more. `line`: the program line acknowledged last. */
export function faultOf(reply: Reply, ackedLines: number, line: number): DriverError | undefined {
  if (reply.kind === 'start') return restartError(`after numbered line ${ackedLines}`, line)
  if (reply.kind === 'fatal') return new DriverError('DRIVER_HALTED', reply.text)
  return undefined
}

/** `line`: the program line acknowledged last; 0 before the first. */
export function restartError(how: string, line: number): DriverError {
  return new DriverError('DRIVER_RESET', `controller restarted: ${how}`, line > 0 ? { line } : {})
}
