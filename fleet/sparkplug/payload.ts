/** Payloads of Sparkplug B (specification 3.0, 6.4.1), as far as this face says or hears them. The only file that imports protobufjs. */

import protobuf from 'protobufjs'
import { z } from 'zod'

/** Specification 3.0, 6.4.16 and 6.4.17: the types this face uses. */
export const DATA_TYPE = { Int64: 4, Double: 10, Boolean: 11, String: 12 } as const
export type DataType = keyof typeof DATA_TYPE

const { Field, OneOf, Root, Type } = protobuf

// Message by message, so that protobufjs takes it as proto2: a zero that was set is sent.
const propertyValue = new Type('PropertyValue')
  .add(new Field('type', 1, 'uint32'))
  .add(new Field('stringValue', 8, 'string'))
const propertySet = new Type('PropertySet')
  .add(new Field('keys', 1, 'string', 'repeated'))
  .add(new Field('values', 2, 'PropertyValue', 'repeated'))
const metric = new Type('Metric')
  .add(new Field('name', 1, 'string'))
  .add(new Field('alias', 2, 'uint64'))
  .add(new Field('timestamp', 3, 'uint64'))
  .add(new Field('datatype', 4, 'uint32'))
  .add(new Field('isHistorical', 5, 'bool'))
  .add(new Field('isNull', 7, 'bool'))
  .add(new Field('properties', 9, 'PropertySet'))
  .add(
    new OneOf('value')
      .add(new Field('longValue', 11, 'uint64'))
      .add(new Field('doubleValue', 13, 'double'))
      .add(new Field('booleanValue', 14, 'bool'))
      .add(new Field('stringValue', 15, 'string')),
  )
const payloadType = new Type('Payload')
  .add(new Field('timestamp', 1, 'uint64'))
  .add(new Field('metrics', 2, 'Metric', 'repeated'))
  .add(new Field('seq', 3, 'uint64'))
new Root().add(propertyValue).add(propertySet).add(metric).add(payloadType).resolveAll()

const metricSchema = z.looseObject({
  name: z.string().exactOptional(),
  alias: z.number().exactOptional(),
  timestamp: z.number().exactOptional(),
  datatype: z.number().exactOptional(),
  isHistorical: z.boolean().exactOptional(),
  isNull: z.boolean().exactOptional(),
  longValue: z.number().exactOptional(),
  doubleValue: z.number().exactOptional(),
  booleanValue: z.boolean().exactOptional(),
  stringValue: z.string().exactOptional(),
  properties: z
    .looseObject({
      keys: z.array(z.string()),
      values: z.array(z.looseObject({ type: z.number(), stringValue: z.string().exactOptional() })),
    })
    .exactOptional(),
})
const payloadSchema = z.looseObject({
  timestamp: z.number().exactOptional(),
  seq: z.number().exactOptional(),
  metrics: z.array(metricSchema).default([]),
})

/** In the words of the specification; times in milliseconds since 1970, UTC. */
export type Metric = Readonly<z.infer<typeof metricSchema>>
export interface Payload {
  readonly timestamp: number
  /** In every message but NDEATH. */
  readonly seq?: number
  readonly metrics: readonly Metric[]
}

export function encodePayload(payload: Payload): Uint8Array {
  return payloadType.encode(payload).finish()
}

/** Undefined when it is not a payload. */
export function decodePayload(bytes: Uint8Array): z.infer<typeof payloadSchema> | undefined {
  try {
    return payloadSchema.parse(payloadType.toObject(payloadType.decode(bytes), { longs: Number }))
  } catch {
    return undefined
  }
}

/** The field that carries a value, or says that there is none. */
export function valueField(datatype: DataType, value: string | number | boolean | null): Metric {
  if (value === null) return { isNull: true }
  if (typeof value === 'string') return { stringValue: value }
  if (typeof value === 'boolean') return { booleanValue: value }
  return datatype === 'Int64' ? { longValue: value } : { doubleValue: value }
}
