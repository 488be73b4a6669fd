/** A capture file of libpcap, read as far as a test needs it: Ethernet, IPv4 and IPv6, the payload of TCP put together again. */

export interface Captured {
  /** Every frame as it was on the wire. */
  readonly frames: readonly Buffer[]
  /** Each direction of each connection: its payload in order, named `from>to`. */
  readonly streams: ReadonlyMap<string, Buffer>
  /** What is neither TCP, ARP nor ICMPv6, by ether type and protocol. */
  readonly others: readonly string[]
}

const MAGIC = 0xa1b2c3d4
const LINK_ETHERNET = 1
const ETHER = { ipv4: 0x0800, arp: 0x0806, ipv6: 0x86dd } as const
const HOP_BY_HOP = 0
const PROTOCOL = { tcp: 6, icmpv6: 58 } as const

interface Segment {
  readonly sequence: number
  readonly payload: Buffer
}

/** @throws Error when it is another kind of capture, or a stream has a hole */
export function readCapture(file: Buffer): Captured {
  const frames = [...framesOf(file)]
  const segments = new Map<string, Segment[]>()
  const others: string[] = []
  for (const frame of frames) {
    const type = frame.readUInt16BE(12)
    const packet = packetOf(type, frame.subarray(14))
    if (packet?.protocol === PROTOCOL.tcp) {
      const { stream, segment } = segmentOf(packet)
      segments.set(stream, [...(segments.get(stream) ?? []), segment])
    } else if (type !== ETHER.arp && packet?.protocol !== PROTOCOL.icmpv6)
      others.push(`${type.toString(16)}/${packet?.protocol}`)
  }
  const streams = new Map([...segments].map(([name, each]) => [name, assembled(name, each)]))
  return { frames, streams, others }
}

function* framesOf(file: Buffer): Generator<Buffer> {
  if (file.readUInt32LE(0) !== MAGIC || file.readUInt32LE(20) !== LINK_ETHERNET)
    throw new Error('not a little-endian Ethernet capture in microseconds')
  for (let at = 24; at + 16 <= file.length; ) {
    const kept = file.readUInt32LE(at + 8)
    if (kept !== file.readUInt32LE(at + 12)) throw new Error('a frame was cut short')
    yield file.subarray(at + 16, at + 16 + kept)
    at += 16 + kept
  }
}

interface Packet {
  readonly protocol: number | undefined
  readonly body: Buffer
  readonly from: string
  readonly to: string
}

function packetOf(type: number, packet: Buffer): Packet | undefined {
  if (type === ETHER.ipv4) return ipv4(packet)
  return type === ETHER.ipv6 ? ipv6(packet) : undefined
}

function segmentOf({ body, from, to }: Packet): { stream: string; segment: Segment } {
  const stream = `${from}:${body.readUInt16BE(0)}>${to}:${body.readUInt16BE(2)}`
  const payload = body.subarray((body.readUInt8(12) >> 4) * 4)
  // SYN counts as one byte: the payload begins behind it.
  const sequence = body.readUInt32BE(4) + ((body.readUInt8(13) >> 1) & 1)
  return { stream, segment: { sequence, payload } }
}

function ipv4(packet: Buffer): Packet {
  const body = packet.subarray(((packet[0] ?? 0) & 15) * 4, packet.readUInt16BE(2))
  const [from, to] = [packet.subarray(12, 16).join('.'), packet.subarray(16, 20).join('.')]
  return { protocol: packet[9], body, from, to }
}

/** Listener reports (RFC 3810) carry a hop-by-hop header before their ICMPv6. */
function ipv6(packet: Buffer): Packet {
  const [from, to] = [packet.toString('hex', 8, 24), packet.toString('hex', 24, 40)]
  const body = packet.subarray(40, 40 + packet.readUInt16BE(4))
  if (packet[6] !== HOP_BY_HOP) return { protocol: packet[6], body, from, to }
  return { protocol: body[0], body: body.subarray((body.readUInt8(1) + 1) * 8), from, to }
}

/** In order of sequence numbers from the first seen, repeats once. */
function assembled(name: string, segments: readonly Segment[]): Buffer {
  const start = segments[0]?.sequence ?? 0
  const from = ({ sequence }: Segment) => (sequence - start) | 0
  const chunks: Buffer[] = []
  let end = 0
  for (const segment of segments.toSorted((a, b) => from(a) - from(b))) {
    const { payload } = segment
    if (payload.length === 0) continue
    if (from(segment) > end) throw new Error(`${name} has a hole at ${end}`)
    const fresh = payload.subarray(Math.max(0, end - from(segment)))
    chunks.push(fresh)
    end += fresh.length
  }
  return Buffer.concat(chunks)
}

/** RFC 8446, 5.1. */
const TLS_RECORD = { types: [20, 21, 22, 23], versions: [0x0301, 0x0303] } as const
const MAX_RECORD_BYTES = 16_384 + 256

/** Records of a TLS stream; the last may be cut by the end of the connection. @throws Error at the first byte that is none */
export function tlsRecords(stream: Buffer): number {
  let records = 0
  for (let at = 0; at < stream.length; records++) {
    const head = stream.subarray(at, at + 5)
    if (head.length < 5) break
    const type = head.readUInt8(0)
    const version = head.readUInt16BE(1)
    const length = head.readUInt16BE(3)
    const isKnown = TLS_RECORD.types.some(each => each === type)
    if (!isKnown || !TLS_RECORD.versions.some(each => each === version))
      throw new Error(`no TLS record at ${at}: ${head.toString('hex')}`)
    if (length > MAX_RECORD_BYTES) throw new Error(`a record of ${length} bytes at ${at}`)
    at += 5 + length
  }
  return records
}
