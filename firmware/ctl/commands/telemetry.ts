/** `mpfctl telemetry`: what the courier sent of this printer's measurements within the last hour. */

import { inflateRawSync } from 'node:zlib'
import { readSent, type SentMessage } from '#lib/sent-ring.ts'
import { type Command, textOption, writeLines } from '../command.ts'
import { ctlFault, EXIT } from '../errors.ts'
import { jsonLine } from '../render/text.ts'

const DEFAULT_FILE = '/run/mpfd-cloud/sent.sqlite'
const LINE_FEED = 0x0a
/** No batch inflates to more. */
const MAX_BATCH_BYTES = 8 * 1024 * 1024

export const telemetry: Command = {
  name: 'telemetry',
  operands: '',
  maxOperands: 0,
  summary: 'show what left the printer: telemetry and alarms of the last hour',
  description: [
    'Shows each message as it was sent to the broker: its time, topic and size, and what it says. With --raw exactly the bytes that were sent, in base64, signature and all.',
    'Reads the record of the courier, which is closed to others than root and its own user. Needs no running service.',
  ],
  options: {
    raw: { type: 'boolean', help: 'the bytes that were sent, in base64' },
    file: { type: 'string', value: 'FILE', help: `the record (default ${DEFAULT_FILE})` },
  },
  async run(context) {
    const { terminal, isJson, options } = context
    const file = textOption(context, 'file') ?? DEFAULT_FILE
    for (const message of messagesIn(file)) {
      const shown = options.raw === true ? rawOf(message) : meaningOf(message)
      const { atMs, topic, payload } = message
      if (isJson) terminal.write(jsonLine({ atMs, topic, bytes: payload.length, ...shown }))
      else
        writeLines(terminal, [
          `${new Date(atMs).toISOString()} ${topic} ${payload.length} bytes`,
          ...Object.values(shown).map(value =>
            typeof value === 'string' ? value : `  ${JSON.stringify(value)}`,
          ),
        ])
    }
    return EXIT.ok
  },
}

function messagesIn(file: string): readonly SentMessage[] {
  try {
    return readSent(file)
  } catch (cause) {
    throw ctlFault('CTL_TELEMETRY', `${file} cannot be read`, cause)
  }
}

const rawOf = ({ payload }: SentMessage) => ({ sent: Buffer.from(payload).toString('base64') })

/** A batch: a header line, then the items, deflated. */
function meaningOf({ topic, payload }: SentMessage): { readonly header: unknown; items: unknown } {
  try {
    const bytes = Buffer.from(payload)
    const end = bytes.indexOf(LINE_FEED)
    const body = inflateRawSync(bytes.subarray(end + 1), { maxOutputLength: MAX_BATCH_BYTES })
    return {
      header: JSON.parse(bytes.toString('utf8', 0, end)),
      items: JSON.parse(body.toString('utf8')),
    }
  } catch (cause) {
    throw ctlFault('CTL_TELEMETRY', `${topic}: not a batch`, cause)
  }
}
