/** One session of a Sparkplug edge node: topics, births and deaths, sequence numbers, aliases. Pure. */

import type { Publication } from '#cloud'
import {
  DATA_TYPE,
  type DataType,
  decodePayload,
  encodePayload,
  type Metric,
  valueField,
} from './payload.ts'

export interface EdgeNode {
  readonly group: string
  readonly edge: string
}

/** What a device may report. */
export interface Tag {
  readonly name: string
  readonly datatype: DataType
  readonly unit?: string
}

export type TagValue = string | number | boolean | null

/** Values by tag, taken at one time. */
export interface Reading {
  readonly atMs: number
  /** Older than what the host has been shown as current. */
  readonly isHistorical: boolean
  readonly values: ReadonlyMap<string, TagValue>
}

type MessageType = 'NBIRTH' | 'NDEATH' | 'NCMD' | 'DBIRTH' | 'DDATA' | 'DDEATH'

const NAMESPACE = 'spBv1.0'
const REBIRTH = 'Node Control/Rebirth'
/** bdSeq and seq run from 0 to 255. */
export const CYCLE = 256

/** tck-id-topic-structure-namespace-valid-group-id and -valid-edge-node-id; no control characters either. */
export function isSparkplugId(text: string): boolean {
  return /^[^+/#\p{C}]{1,64}$/u.test(text)
}

export function commandTopic({ group, edge }: EdgeNode): string {
  return `${NAMESPACE}/${group}/NCMD/${edge}`
}

/** Anything else a host may ask of a node is not heard. */
export function isRebirthRequest(payload: Uint8Array): boolean {
  const { metrics = [] } = decodePayload(payload) ?? {}
  return metrics.some(({ name, booleanValue }) => name === REBIRTH && booleanValue === true)
}

export class EdgeSession {
  readonly #node: EdgeNode
  readonly #bdSeq: number
  readonly #tags = new Map<
    string,
    ReadonlyMap<string, { readonly alias: number; readonly tag: Tag }>
  >()
  #nextAlias = 1
  #nextSeq = 0

  /** @param bdSeq 0 to 255, one more with each CONNECT */
  constructor(node: EdgeNode, bdSeq: number) {
    this.#node = node
    this.#bdSeq = bdSeq
  }

  /** NDEATH: the will of the connection. */
  death(atMs: number): Publication {
    return {
      topic: this.#topic('NDEATH'),
      payload: encodePayload({ timestamp: atMs, metrics: [this.#birthDeath(atMs)] }),
      qos: 1,
    }
  }

  /** NBIRTH; each device is to be born again after it. */
  birth(atMs: number): Publication {
    this.#nextSeq = 0
    const rebirth = {
      ...{ name: REBIRTH, timestamp: atMs, datatype: DATA_TYPE.Boolean },
      booleanValue: false,
    }
    return this.#publication(this.#topic('NBIRTH'), atMs, [this.#birthDeath(atMs), rebirth])
  }

  /** DBIRTH: every tag of the device, whether it has a value or not. */
  deviceBirth(
    device: string,
    tags: readonly Tag[],
    readings: readonly Reading[],
    atMs: number,
  ): Publication {
    const known = this.#tags.get(device)
    this.#tags.set(
      device,
      new Map(
        tags.map(tag => [
          tag.name,
          { alias: known?.get(tag.name)?.alias ?? this.#nextAlias++, tag },
        ]),
      ),
    )
    const metrics = this.#metrics(device, readings, ({ name, datatype, unit }) => ({
      name,
      datatype: DATA_TYPE[datatype],
      ...(unit && {
        properties: { keys: ['engUnit'], values: [{ type: DATA_TYPE.String, stringValue: unit }] },
      }),
    }))
    return this.#publication(this.#topic('DBIRTH', device), atMs, metrics)
  }

  /** DDATA: by alias alone, oldest first. */
  deviceData(device: string, readings: readonly Reading[], atMs: number): Publication {
    const metrics = this.#metrics(device, readings, () => ({}))
    return this.#publication(this.#topic('DDATA', device), atMs, metrics)
  }

  deviceDeath(device: string, atMs: number): Publication {
    return this.#publication(this.#topic('DDEATH', device), atMs, [])
  }

  #birthDeath(atMs: number): Metric {
    return {
      ...{ name: 'bdSeq', timestamp: atMs, datatype: DATA_TYPE.Int64 },
      longValue: this.#bdSeq,
    }
  }

  #metrics(
    device: string,
    readings: readonly Reading[],
    describe: (tag: Tag) => Metric,
  ): readonly Metric[] {
    const tags = this.#tags.get(device)
    return readings.flatMap(({ atMs, isHistorical, values }) =>
      [...values].flatMap(([name, value]) => {
        const known = tags?.get(name)
        if (!known) return []
        return {
          ...describe(known.tag),
          ...{ alias: known.alias, timestamp: atMs },
          ...(isHistorical && { isHistorical }),
          ...valueField(known.tag.datatype, value),
        }
      }),
    )
  }

  #publication(topic: string, atMs: number, metrics: readonly Metric[]): Publication {
    const seq = this.#nextSeq
    this.#nextSeq = (seq + 1) % CYCLE
    return { topic, payload: encodePayload({ timestamp: atMs, seq, metrics }), qos: 0 }
  }

  #topic(type: MessageType, device?: string): string {
    const { group, edge } = this.#node
    return [NAMESPACE, group, type, edge, ...(device === undefined ? [] : [device])].join('/')
  }
}
