/** What a reply means to whoever listens: an event, a fault, or nothing. Pure. */
import type { ControllerEvent } from '../controller.ts'
import { DriverError } from '../errors.ts'
import type { Reply } from './replies.ts'

/** The event a reply is told as, if any. Acknowledgements and resends are the window's to tell. */
export function eventOf(reply: Reply): ControllerEvent | undefined {
  switch (reply.kind) {
    case 'temperatures':
    case 'okTemperatures':
      return { kind: 'temperatures', temperatures: reply.temperatures }
    case 'busy':
    case 'position':
    case 'action':
      return reply
    case 'echo':
    case 'message':
      return { kind: 'message', text: reply.text }
    default:
      return undefined
  }
}

/** The fault a reply is, if any: nothing sent before it counts any more. */
export function faultOf(reply: Reply, ackedLines: number): DriverError | undefined {
  if (reply.kind === 'start')
    return new DriverError('DRIVER_RESET', `controller restarted after numbered line ${ackedLines}`)
  if (reply.kind === 'fatal') return new DriverError('DRIVER_HALTED', reply.text)
  return undefined
}
