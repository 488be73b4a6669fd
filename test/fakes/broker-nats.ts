/** NATS with its MQTT gateway (MQTT 3.1.1): client certificates only, each name limited to its own topics; one node or a cluster. */
import { spawnSync } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type BrokerCluster, spawnNode, startNodes, writeTlsFiles } from './broker-nodes.ts'
import { type BrokerFiles, freePort } from './cloud-broker.ts'

export const hasNats = spawnSync('nats-server', ['--version']).error === undefined

/** The fleet end's name, and the printers': NATS has no pattern for a certificate's name, so every one is listed. */
export interface BrokerNames {
  readonly fleet: string
  readonly devices: readonly string[]
}

export async function startNats(
  directory: string,
  files: BrokerFiles,
  { fleet, devices }: BrokerNames,
  count: number,
): Promise<BrokerCluster> {
  const place = join(directory, 'nats')
  const tls = await writeTlsFiles(place, files)
  const ports = await Promise.all(
    Array.from({ length: count }, async () => ({
      mqtt: await freePort(),
      client: await freePort(),
      route: await freePort(),
    })),
  )
  // Topic levels are subject tokens: `mpf/v1/P-1/evt` is `mpf.v1.P-1.evt`.
  const users = [
    {
      user: `CN=${fleet}`,
      permissions: { publish: 'mpf.v1.>', subscribe: ['mpf.v1.>', DELIVERY] },
    },
    ...devices.map(device => ({
      user: `CN=${device}`,
      permissions: {
        publish: `mpf.v1.${device}.>`,
        subscribe: [`mpf.v1.${device}.>`, DELIVERY],
      },
    })),
  ]
  const nodes = await Promise.all(
    ports.map(async (port, i) => {
      const config = join(place, `node-${i}.conf`)
      const settings = {
        server_name: `node-${i}`,
        listen: `127.0.0.1:${port.client}`,
        jetstream: { store_dir: join(place, `jetstream-${i}`) },
        mqtt: {
          listen: `127.0.0.1:${port.mqtt}`,
          max_ack_pending: 16,
          tls: {
            ca_file: tls.ca,
            cert_file: tls.cert,
            key_file: tls.key,
            verify_and_map: true,
          },
        },
        authorization: { users },
        ...(count > 1 && {
          cluster: {
            name: 'fleet',
            listen: `127.0.0.1:${port.route}`,
            routes: ports.map(({ route }) => `nats://127.0.0.1:${route}`),
          },
        }),
      }
      await writeFile(config, JSON.stringify(settings, null, 2))
      return { port: port.mqtt, start: () => spawnNode('nats-server', ['-c', config]) }
    }),
  )
  return startNodes(nodes)
}

/** Where the gateway delivers messages of QoS 1. */
const DELIVERY = '$MQTT.sub.>'
