/** A Sparkplug host that only listens: each message decoded field by field with the numbers of the published schema (specification 3.0, 6.4.1), apart from the code it checks. */
import { connectAsync, type IClientOptions, type MqttClient } from 'mqtt'
import protobuf from 'protobufjs/minimal.js'
import { issueClient } from '../../fleet/ca.ts'
import type { Fleet } from './cloud-bench.ts'

const { Reader, Writer } = protobuf

export interface HeardMetric {
  name?: string
  alias?: number
  timestamp?: number
  datatype?: number
  isHistorical?: boolean
  isNull?: boolean
  unit?: string
  value?: number | string | boolean
}

export interface Heard {
  readonly group: string
  readonly type: string
  readonly edge: string
  readonly device: string | undefined
  readonly qos: number
  readonly isRetained: boolean
  readonly timestamp: number | undefined
  readonly seq: number | undefined
  readonly metrics: readonly HeardMetric[]
}

export interface SparkplugHost extends AsyncDisposable {
  readonly heard: Heard[]
  publish(topic: string, payload: Uint8Array): Promise<void>
}

/** Connects under the name the shipped access rules know, and listens to everything. */
export async function startHost({ tenant, broker }: Fleet): Promise<SparkplugHost> {
  const { certPem, keyPem } = issueClient(tenant.authority, 'sparkplug-host', Date.now())
  const options: IClientOptions = { protocolVersion: 4, reconnectPeriod: 0, clientId: 'host' }
  const tls = { ca: tenant.authority.certPem, cert: certPem, key: keyPem }
  const client: MqttClient = await connectAsync(`mqtts://localhost:${broker.port}`, {
    ...options,
    ...tls,
  })
  const heard: Heard[] = []
  client.on('message', (topic, payload, { qos, retain }) => {
    const [, group = '', type = '', edge = '', device] = topic.split('/')
    if (type === 'NCMD') return
    heard.push({ group, type, edge, device, qos, isRetained: retain, ...payloadOf(payload) })
  })
  await client.subscribeAsync('spBv1.0/#', { qos: 1 })
  return {
    heard,
    publish: async (topic, payload) =>
      void (await client.publishAsync(topic, Buffer.from(payload), { qos: 0 })),
    [Symbol.asyncDispose]: () => client.endAsync(true),
  }
}

/** `Node Control/Rebirth` = true, as a host asks for it. */
export function rebirthRequest(): Uint8Array {
  const metric = new Writer().uint32((1 << 3) | 2).string('Node Control/Rebirth')
  metric.uint32((14 << 3) | 0).bool(true)
  return new Writer()
    .uint32((1 << 3) | 0)
    .uint64(Date.now())
    .uint32((2 << 3) | 2)
    .bytes(metric.finish())
    .finish()
}

type Fields = Readonly<Record<number, (reader: protobuf.Reader) => void>>

function read(bytes: Uint8Array, fields: Fields): void {
  const reader = Reader.create(bytes)
  while (reader.pos < reader.len) {
    const tag = reader.uint32()
    const take = fields[tag >>> 3]
    if (!take) throw new Error(`field ${tag >>> 3} is not of the schema`)
    take(reader)
  }
}

function payloadOf(bytes: Uint8Array): Pick<Heard, 'timestamp' | 'seq' | 'metrics'> {
  const found: { timestamp?: number; seq?: number; metrics: HeardMetric[] } = { metrics: [] }
  read(bytes, {
    1: reader => (found.timestamp = Number(reader.uint64())),
    2: reader => found.metrics.push(metricOf(reader.bytes())),
    3: reader => (found.seq = Number(reader.uint64())),
  })
  return { timestamp: found.timestamp, seq: found.seq, metrics: found.metrics }
}

function metricOf(bytes: Uint8Array): HeardMetric {
  const found: HeardMetric = {}
  read(bytes, {
    1: reader => (found.name = reader.string()),
    2: reader => (found.alias = Number(reader.uint64())),
    3: reader => (found.timestamp = Number(reader.uint64())),
    4: reader => (found.datatype = reader.uint32()),
    5: reader => (found.isHistorical = reader.bool()),
    7: reader => (found.isNull = reader.bool()),
    9: reader => (found.unit = unitOf(reader.bytes())),
    11: reader => (found.value = Number(reader.uint64())),
    13: reader => (found.value = reader.double()),
    14: reader => (found.value = reader.bool()),
    15: reader => (found.value = reader.string()),
  })
  return found
}

function unitOf(bytes: Uint8Array): string {
  let [key, unit] = ['', '']
  const value: Fields = { 1: reader => reader.uint32(), 8: reader => (unit = reader.string()) }
  read(bytes, {
    1: reader => (key = reader.string()),
    2: reader => read(reader.bytes(), value),
  })
  if (key !== 'engUnit') throw new Error(`property ${key}`)
  return unit
}
