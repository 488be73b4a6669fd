/** What slicers send, byte for byte, written by hand from their sources: PrusaSlicer 2.9 and OrcaSlicer 2.x (src/slic3r/Utils/OctoPrint.cpp and Http.cpp over libcurl), Cura's OctoPrintPlugin 3.7 (OctoPrintOutputDevice.py over Qt). */
import { connect } from 'node:tls'

export interface SlicerHost {
  readonly port: number
  readonly ca: string
  readonly key: string
  /** Below which the API is: `/p/SERIAL`. */
  readonly path: string
}

export interface SlicerFile {
  readonly name: string
  readonly bytes: Uint8Array
}

export interface RawAnswer {
  readonly status: number
  readonly headers: ReadonlyMap<string, string>
  readonly body: string
}

const CRLF = '\r\n'
/** libcurl asks first where the body is larger (lib/http.c, EXPECT_100_THRESHOLD). */
const EXPECT_ABOVE_BYTES = 1024 * 1024

interface Part {
  readonly headers: readonly string[]
  readonly body: Uint8Array | string
}

function multipart(boundary: string, parts: readonly Part[]): Buffer {
  const lines = parts.flatMap(({ headers, body }) => [
    Buffer.from(`--${boundary}${CRLF}${headers.join(CRLF)}${CRLF}${CRLF}`),
    typeof body === 'string' ? Buffer.from(body) : body,
    Buffer.from(CRLF),
  ])
  return Buffer.concat([...lines, Buffer.from(`--${boundary}--${CRLF}`)])
}

function curlHeaders(host: SlicerHost, agent: string): readonly string[] {
  return [
    ...[`Host: localhost:${host.port}`, `User-Agent: ${agent}`, 'Accept: */*'],
    `X-Api-Key: ${host.key}`,
  ]
}

/** `OctoPrint::test`: the button "Test", and before each upload. */
export function curlVersion(host: SlicerHost, agent: string): Buffer {
  const lines = [`GET ${host.path}/api/version HTTP/1.1`, ...curlHeaders(host, agent)]
  return Buffer.from(`${lines.join(CRLF)}${CRLF}${CRLF}`)
}

/** `OctoPrint::upload`: print, path, file, in this order. */
export function curlUpload(
  host: SlicerHost,
  agent: string,
  { name, bytes }: SlicerFile,
  { print, path }: { readonly print: boolean; readonly path: string },
): Buffer {
  const boundary = '------------------------d74496d66958873e'
  const disposition = (field: string) => `Content-Disposition: form-data; name="${field}"`
  const body = multipart(boundary, [
    { headers: [disposition('print')], body: String(print) },
    { headers: [disposition('path')], body: path },
    {
      headers: [
        `${disposition('file')}; filename="${name}"`,
        'Content-Type: application/octet-stream',
      ],
      body: bytes,
    },
  ])
  const lines = [
    `POST ${host.path}/api/files/local HTTP/1.1`,
    ...curlHeaders(host, agent),
    `Content-Length: ${body.length}`,
    `Content-Type: multipart/form-data; boundary=${boundary}`,
    ...(body.length > EXPECT_ABOVE_BYTES ? ['Expect: 100-continue'] : []),
  ]
  return Buffer.concat([Buffer.from(`${lines.join(CRLF)}${CRLF}${CRLF}`), body])
}

function qtHeaders(host: SlicerHost, type: string): readonly string[] {
  return [
    ...[`X-Api-Key: ${host.key}`, 'User-Agent: Cura/5.10.0 OctoPrintPlugin/3.7.3'],
    ...[`Content-Type: ${type}`, 'Connection: Keep-Alive', 'Accept-Encoding: gzip, deflate'],
    ...['Accept-Language: en-US,*', `Host: localhost:${host.port}`],
  ]
}

export function qtGet(host: SlicerHost, operation: string): Buffer {
  const lines = [
    `GET ${host.path}/api/${operation} HTTP/1.1`,
    ...qtHeaders(host, 'application/json'),
  ]
  return Buffer.from(`${lines.join(CRLF)}${CRLF}${CRLF}`)
}

/** `_sendCommandToApi`. */
export function qtPost(host: SlicerHost, operation: string, value: unknown): Buffer {
  const body = JSON.stringify(value)
  const lines = [
    `POST ${host.path}/api/${operation} HTTP/1.1`,
    ...qtHeaders(host, 'application/json'),
    `Content-Length: ${body.length}`,
  ]
  return Buffer.from(`${lines.join(CRLF)}${CRLF}${CRLF}${body}`)
}

/** `_sendPrintJob`: path and file, then select and print where they were chosen. */
export function qtUpload(
  host: SlicerHost,
  { name, bytes }: SlicerFile,
  { print }: { readonly print: boolean },
): Buffer {
  const boundary = 'boundary_.oOo._NzM4NTA1ODY4MTQ2NTk3ODE4'
  const text = (field: string, body: string): Part => ({
    headers: [`Content-Disposition: form-data; name="${field}"`, 'Content-Type: text/plain'],
    body,
  })
  const body = multipart(boundary, [
    text('path', ''),
    {
      headers: [
        `Content-Disposition: form-data; name="file"; filename="${name}"`,
        'Content-Type: application/octet-stream',
      ],
      body: bytes,
    },
    ...(print ? [text('select', 'true'), text('print', 'true')] : []),
  ])
  const lines = [
    `POST ${host.path}/api/files/local HTTP/1.1`,
    ...qtHeaders(host, `multipart/form-data; boundary="${boundary}"`),
    'MIME-Version: 1.0',
    `Content-Length: ${body.length}`,
  ]
  return Buffer.concat([Buffer.from(`${lines.join(CRLF)}${CRLF}${CRLF}`), body])
}

/** Sends a recorded request and reads the one answer; waits for 100 Continue where the request asks for it. */
export async function send(host: SlicerHost, request: Uint8Array): Promise<RawAnswer> {
  const { ca, port } = host
  const socket = connect({ ca, port, host: 'localhost', servername: 'localhost' })
  const text = Buffer.from(request)
  const bodyAt = text.indexOf(CRLF + CRLF) + 4
  const isAsking = text.subarray(0, bodyAt).includes('Expect: 100-continue')
  socket.write(isAsking ? text.subarray(0, bodyAt) : text)
  let received = Buffer.alloc(0)
  let isContinued = !isAsking
  try {
    for await (const chunk of socket) {
      received = Buffer.concat([received, chunk])
      if (!isContinued && received.includes('100 Continue')) {
        isContinued = true
        received = received.subarray(received.indexOf(CRLF + CRLF) + 4)
        socket.write(text.subarray(bodyAt))
      }
      const answer = answerIn(received)
      if (answer) return answer
    }
  } finally {
    socket.destroy()
  }
  throw new Error('closed without an answer')
}

function answerIn(received: Buffer): RawAnswer | undefined {
  const end = received.indexOf(CRLF + CRLF)
  if (end < 0) return undefined
  const [first = '', ...lines] = received.toString('latin1', 0, end).split(CRLF)
  const headers = new Map(
    lines.map(line => {
      const at = line.indexOf(':')
      return [line.slice(0, at).toLowerCase(), line.slice(at + 1).trim()]
    }),
  )
  const status = Number(first.split(' ')[1])
  const rest = received.subarray(end + 4)
  if (status === 204) return { status, headers, body: '' }
  if (headers.get('transfer-encoding') === 'chunked') {
    if (!rest.includes('\r\n0\r\n\r\n')) return undefined
    return { status, headers, body: unchunked(rest) }
  }
  const length = Number(headers.get('content-length') ?? 0)
  return rest.length < length ? undefined : { status, headers, body: rest.toString('utf8') }
}

function unchunked(bytes: Buffer): string {
  const parts: Buffer[] = []
  for (let at = 0; ; ) {
    const end = bytes.indexOf(CRLF, at)
    const length = Number.parseInt(bytes.toString('latin1', at, end), 16)
    if (length === 0) return Buffer.concat(parts).toString('utf8')
    parts.push(bytes.subarray(end + 2, end + 2 + length))
    at = end + 2 + length + 2
  }
}
