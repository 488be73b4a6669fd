/** One line of syslog, RFC 5424, exactly: what a collector that parses strictly accepts. Pure. */

/** RFC 5424 6.2.1: log audit. */
const FACILITY_LOG_AUDIT = 13
/** RFC 5612: the enterprise number reserved for examples; `mpfd` has none of its own. */
const ENTERPRISE = 32473
/** RFC 5424 6.1: lengths of HOSTNAME, APP-NAME, MSGID and SD-NAME. */
const MAX = { hostname: 255, app: 48, messageId: 32, name: 32 } as const
const ELEMENT_SUFFIX = `@${ENTERPRISE}`

export interface SyslogEntry {
  /** 0 emergency to 7 debug. */
  readonly severity: number
  readonly atMs: number
  readonly hostname: string
  readonly app: string
  readonly messageId: string
  /** One element of structured data and its parameters. */
  readonly element: string
  readonly data: Readonly<Record<string, string | number>>
  readonly message: string
}

/** Without a line end: the transport frames it (RFC 6587, or a line each). */
export function syslogText(entry: SyslogEntry): string {
  const { severity, atMs, hostname, app, messageId, element, data, message } = entry
  const parameters = Object.entries(data).map(
    ([name, value]) => `${word(name, MAX.name, /[="\]]/g)}="${escaped(String(value))}"`,
  )
  const header = [
    `<${FACILITY_LOG_AUDIT * 8 + severity}>1`,
    new Date(atMs).toISOString(),
    word(hostname, MAX.hostname),
    word(app, MAX.app),
    '-',
    word(messageId, MAX.messageId),
  ]
  const id = word(element, MAX.name - ELEMENT_SUFFIX.length, /[="\]@]/g) + ELEMENT_SUFFIX
  const structured = `[${[id, ...parameters].join(' ')}]`
  return `${header.join(' ')} ${structured} ${messageOf(message)}`
}

/** PRINTUSASCII (33 to 126), so long, and never empty. */
function word(text: string, longest: number, more = /$^/g): string {
  const clean = text.replace(/[^\x21-\x7e]/g, '_').replace(more, '_')
  return clean.slice(0, longest) || '-'
}

/** 6.3.3: these three are escaped, nothing else is; a control character would end the line. */
function escaped(value: string): string {
  return value
    .toWellFormed()
    .replace(/\p{Cc}/gu, ' ')
    .replace(/(["\\\]])/g, '\\$1')
}

/** 6.4: text beyond ASCII is UTF-8 and says so. */
function messageOf(message: string): string {
  const text = message.toWellFormed().replace(/\p{Cc}/gu, ' ')
  return /^[\x20-\x7e]*$/.test(text) ? text : `\ufeff${text}`
}
