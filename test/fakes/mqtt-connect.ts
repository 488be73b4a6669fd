/** CONNECT and PUBLISH as a broker reads them (MQTT 5, 3.1 and 3.3; the same packets of 3.1.1 have no properties). */

/** Reads on through one packet's body. */
class Reader {
  readonly #bytes: Buffer
  #at = 0
  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }
  number(bytes: number): number {
    this.#at += bytes
    return this.#bytes.readUIntBE(this.#at - bytes, bytes)
  }
  take(length: number): Buffer {
    this.#at += length
    return this.#bytes.subarray(this.#at - length, this.#at)
  }
  text(): string {
    return this.take(this.number(2)).toString()
  }
  rest(): Buffer {
    return this.#bytes.subarray(this.#at)
  }
  /** Values by identifier (2.2.2.2): those of one, two and four bytes. */
  properties(): ReadonlyMap<number, number> {
    const properties = new Reader(this.take(this.#variable()))
    const found = new Map<number, number>()
    while (properties.rest().length > 0) {
      const id = properties.number(1)
      const width = WIDTHS[id]
      if (width === undefined) throw new Error(`property 0x${id.toString(16)}`)
      found.set(id, properties.number(width))
    }
    return found
  }
  #variable(): number {
    for (let value = 0, shift = 0; ; shift += 7) {
      const byte = this.number(1)
      value += (byte & 0x7f) << shift
      if (byte < 0x80) return value
    }
  }
}

export const PROPERTY = {
  ...{ sessionExpiry: 0x11, requestProblem: 0x17, willDelay: 0x18 },
  ...{ receiveMaximum: 0x21, maximumPacket: 0x27 },
} as const
const WIDTHS: Readonly<Record<number, number>> = { 17: 4, 23: 1, 24: 4, 33: 2, 39: 4 }
const NONE: ReadonlyMap<number, number> = new Map()

export function readConnect(body: Buffer) {
  const reader = new Reader(body)
  const name = reader.text()
  const level = reader.number(1)
  const flags = reader.number(1)
  const keepAliveS = reader.number(2)
  const properties = level === 5 ? reader.properties() : NONE
  const clientId = reader.text()
  const willProperties = level === 5 ? reader.properties() : NONE
  const will = { topic: reader.text(), payload: reader.text(), properties: willProperties }
  return {
    ...{ name, level, keepAliveS, properties, clientId, will },
    ...{ isClean: (flags & 2) !== 0, hasWill: (flags & 4) !== 0 },
    ...{ willQos: (flags >> 3) & 3, isWillRetained: (flags & 32) !== 0 },
  }
}

export function readPublish(body: Buffer, flags: number, level: number) {
  const reader = new Reader(body)
  const topic = reader.text()
  const qos = (flags >> 1) & 3
  const id = qos > 0 ? reader.number(2) : 0
  if (level === 5) reader.properties()
  return { topic, qos, id, isRetained: (flags & 1) !== 0, payload: reader.rest() }
}

/** PUBLISH with QoS 0. */
export function publishPacket(topic: string, payload: Uint8Array, level: number): Buffer {
  const name = Buffer.from(topic)
  const length = Buffer.alloc(2)
  length.writeUInt16BE(name.length)
  const body = Buffer.concat([length, name, Buffer.alloc(level === 5 ? 1 : 0), payload])
  const size = [(body.length & 0x7f) | 0x80, body.length >> 7]
  return Buffer.concat([Buffer.from([0x30, ...size]), body])
}

/** SUBACK that grants every topic of a SUBSCRIBE. */
export function grantAll(body: Buffer, level: number): Buffer {
  const reader = new Reader(body)
  const id = reader.take(2)
  if (level === 5) reader.properties()
  const grants: number[] = []
  while (reader.rest().length > 0) {
    reader.text()
    grants.push(reader.number(1) & 3)
  }
  const payload = [...id, ...(level === 5 ? [0] : []), ...grants]
  return Buffer.from([0x90, payload.length, ...payload])
}
