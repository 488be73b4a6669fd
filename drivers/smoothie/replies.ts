/** The words Smoothieware answers with, where they differ from Marlin's. Pure. */
import { parseFields, parsePosition, parseReply } from '../marlin/replies.ts'
import { PLAIN_OK, type Reply, START } from '../reply.ts'

/** By whatever it was halted, and in its grbl mode. */
const HALTED = /^(?:HALTED|ALARM:|error:Alarm lock)|HALT asserted/

/** Parses one reply line. Never throws: what fits nothing is a `message`. */
export function parseSmoothieReply(line: string): Reply {
  if (line === 'ok') return PLAIN_OK
  const text = line.endsWith('\r') ? line.slice(0, -1) : line
  if (text === 'Smoothie') return START
  if (HALTED.test(text)) return { kind: 'fatal', text }
  if (text === 'ok - ignored') return PLAIN_OK
  const report = reportOf(text)
  if (report) return { ...PLAIN_OK, report }
  if (text.startsWith('FIRMWARE_NAME:'))
    return { kind: 'firmware', fields: parseFields(text.replaceAll(', ', ' ')) }
  return parseReply(text)
}

/** M114 answers on the acknowledgement itself: `ok C: X:0.0000 Y:0.0000 Z:0.0000 E:0.0000`. */
function reportOf(text: string): (Reply & { readonly kind: 'position' }) | undefined {
  if (!text.startsWith('ok C: ')) return undefined
  const report = parsePosition(text.slice('ok C: '.length))
  return report?.kind === 'position' ? report : undefined
}
