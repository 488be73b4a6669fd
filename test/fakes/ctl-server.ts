/** A control socket that answers from a script: what mpfctl is tested against, without a core. */
import { createServer, type Socket } from 'node:net'
import type { ControlMethods, EventView, JobView, PrinterView } from '#lib/control-protocol.ts'
import { RPC } from '#lib/control-protocol.ts'
import {
  createLineReader,
  formatFailure,
  formatNotification,
  formatResult,
  MAX_REQUEST_BYTES,
  parseRequest,
} from '#lib/json-rpc.ts'

/** Answers one request; a thrown `Refusal` becomes the error a core would answer with. */
export type Answer = (params: Record<string, unknown>, peer: Peer) => unknown

/** The connection a request came on. */
export interface Peer {
  notify(method: 'progress', view: PrinterView): void
  notify(method: 'event', event: EventView): void
  /** Sends bytes as they are. */
  sendRaw(text: string): void
  close(): void
}

export class Refusal extends Error {
  readonly code: string
  constructor(code: string, message: string) {
    super(message)
    this.code = code
  }
}

export interface CtlServer extends AsyncDisposable {
  readonly path: string
  /** Every request so far, as `method {params}`. */
  readonly requests: readonly string[]
}

/** Listens on `path`; a method without an answer is never answered. */
export async function startCtlServer(
  path: string,
  answers: { readonly [M in keyof ControlMethods]?: Answer },
): Promise<CtlServer> {
  const requests: string[] = []
  const sockets = new Set<Socket>()
  const server = createServer(socket => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    socket.on('error', () => undefined)
    const reader = createLineReader(MAX_REQUEST_BYTES)
    const peer: Peer = {
      notify: (method: string, params: unknown) =>
        void socket.write(formatNotification(method, params)),
      sendRaw: text => void socket.write(text),
      close: () => socket.destroy(),
    }
    socket.on('data', (chunk: Buffer) => {
      for (const line of reader.push(chunk).lines) {
        const request = parseRequest(line)
        if (request.kind === 'malformed') throw new Error(request.failure.message)
        requests.push(`${request.method} ${JSON.stringify(request.params)}`)
        const answer = answers[request.method as keyof ControlMethods]
        if (answer) socket.write(replyTo(request, answer, peer))
      }
    })
  })
  await new Promise<void>(resolve => server.listen(path, resolve))
  return {
    path,
    requests,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      await new Promise(resolve => server.close(resolve))
    },
  }
}

function replyTo(
  request: { readonly id: number | string; readonly params: unknown },
  answer: Answer,
  peer: Peer,
): string {
  try {
    return formatResult(request.id, answer(request.params as Record<string, unknown>, peer))
  } catch (error) {
    if (!(error instanceof Refusal)) throw error
    const data = error.code === '' ? undefined : { code: error.code }
    return formatFailure(request.id, { code: RPC.refused, message: error.message, data })
  }
}

export const RECEIVED_AT_MS = Date.UTC(2026, 10, 22, 20, 0, 0)

/** A print in its middle. */
export function jobView(changes: Partial<JobView> = {}): JobView {
  return {
    id: '3f2a9c1d77e04b21',
    name: 'clip.mpf',
    state: 'printing',
    origin: 'usb',
    sizeBytes: 48_211,
    fileId: 'AAAAAAAAAAAAAAAAAAAAAA',
    title: 'Cable clip',
    receivedAtMs: RECEIVED_AT_MS,
    startedAtMs: RECEIVED_AT_MS + 60_000,
    endedAtMs: null,
    code: null,
    message: null,
    progress: {
      line: 51_203,
      lines: 121_044,
      layer: 34,
      layers: 102,
      percent: 42.37,
      timeLeftS: 750,
    },
    use: 1,
    usesGranted: 3,
    ...changes,
  }
}

/** The printer around it. */
export function printerView(changes: Partial<PrinterView> = {}): PrinterView {
  return {
    printer: 'P250',
    serial: 'P250-00017',
    version: '0.1.0',
    state: 'printing',
    job: jobView(),
    controllers: [
      {
        name: 'motion',
        role: 'motion',
        connected: true,
        firmware: 'Marlin 2.1.2',
        temperatures: {
          hotend: { currentC: 210.4, targetC: 210 },
          bed: { currentC: 48.26, targetC: 60 },
        },
        linesSent: 51_210,
        resends: 3,
        inFlightLines: 6,
        windowLines: 8,
        link: {
          okToNextMs: { p50: 0.11, p99: 0.9, p999: 1.8 },
          wireUtilisation: 0.97,
          plannerFree: 2,
          plannerBlocks: 15,
          stalls: 1,
          reattachments: 0,
          bytesSent: 2_048_000,
          bytesReceived: 153_630,
          savedBytes: 0,
        },
      },
    ],
    queue: { ready: 1, received: 0 },
    spool: { usedBytes: 12_884_902, capBytes: 4_294_967_296 },
    events: { lastSequence: 134 },
    clock: { nowMs: RECEIVED_AT_MS + 600_000, quality: 'ntp' },
    ...changes,
  }
}

export function eventView(changes: Partial<EventView> = {}): EventView {
  return {
    sequence: 134,
    atMs: RECEIVED_AT_MS,
    type: 'job.started',
    severity: 'notice',
    job: '3f2a9c1d77e04b21',
    code: null,
    message: 'print started',
    detail: {},
    hash: 'aa',
    ...changes,
  }
}
