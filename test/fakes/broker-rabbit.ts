/** RabbitMQ with its MQTT plugin: client certificates only, each name limited to its own topics; one node or a cluster. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { BrokerNames } from './broker-nats.ts'
import { type BrokerCluster, spawnNode, startNodes, writeTlsFiles } from './broker-nodes.ts'
import { type BrokerFiles, freePort } from './cloud-broker.ts'

/** Debian's place; the wrapper in the PATH would change to a user of its own. */
const SERVER = '/usr/lib/rabbitmq/bin/rabbitmq-server'
export const hasRabbit = existsSync(SERVER)

export async function startRabbit(
  directory: string,
  files: BrokerFiles,
  names: BrokerNames,
  count: number,
): Promise<BrokerCluster> {
  const place = join(directory, 'rabbitmq')
  const tls = await writeTlsFiles(place, files)
  const [epmdPort, ...ports] = await Promise.all(
    Array.from({ length: 1 + 2 * count }, () => freePort()),
  )
  const nodeNames = Array.from({ length: count }, (_, i) => `mpf${epmdPort}-${i}@localhost`)
  const definitions = join(place, 'definitions.json')
  await writeFile(definitions, JSON.stringify(definitionsFor(names)))
  const plugins = join(place, 'plugins')
  await writeFile(plugins, '[rabbitmq_mqtt].\n')
  const nodes = await Promise.all(
    nodeNames.map(async (name, i) => {
      const home = join(place, `node-${i}`)
      await mkdir(home)
      await writeFile(join(place, '.erlang.cookie'), 'FLEETTEST', { mode: 0o400 }).catch(
        () => undefined,
      )
      const port = ports[2 * i] ?? 0
      await writeFile(
        join(home, 'rabbitmq.conf'),
        settings({
          'listeners.tcp': 'none',
          'mqtt.listeners.tcp': 'none',
          'mqtt.listeners.ssl.1': `127.0.0.1:${port}`,
          'ssl_options.cacertfile': tls.ca,
          'ssl_options.certfile': tls.cert,
          'ssl_options.keyfile': tls.key,
          'ssl_options.verify': 'verify_peer',
          'ssl_options.fail_if_no_peer_cert': 'true',
          ssl_cert_login_from: 'common_name',
          'mqtt.ssl_cert_login': 'true',
          'mqtt.allow_anonymous': 'false',
          'mqtt.prefetch': '16',
          // Sessions that outlive a node.
          'mqtt.durable_queue_type': 'quorum',
          load_definitions: definitions,
          ...(count > 1 && {
            'cluster_formation.peer_discovery_backend': 'classic_config',
            cluster_partition_handling: 'ignore',
            ...Object.fromEntries(
              nodeNames.map((each, n) => [`cluster_formation.classic_config.nodes.${n + 1}`, each]),
            ),
          }),
        }),
      )
      const env = {
        ...process.env,
        HOME: place,
        ERL_EPMD_PORT: String(epmdPort),
        ERL_EPMD_ADDRESS: '127.0.0.1',
        RABBITMQ_NODENAME: name,
        RABBITMQ_DIST_PORT: String(ports[2 * i + 1]),
        RABBITMQ_CONFIG_FILE: join(home, 'rabbitmq.conf'),
        RABBITMQ_MNESIA_BASE: home,
        RABBITMQ_LOG_BASE: home,
        RABBITMQ_ENABLED_PLUGINS_FILE: plugins,
        RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS: '+S 1:1 -kernel inet_dist_use_interface {127,0,0,1}',
      }
      return { port, start: () => spawnNode(SERVER, [], { env, cwd: home }) }
    }),
  )
  return startNodes(nodes, async () => {
    const env = { ...process.env, ERL_EPMD_PORT: String(epmdPort) }
    await once(spawn('epmd', ['-kill'], { env, stdio: 'ignore' }), 'exit')
  })
}

const settings = (values: Record<string, string>) =>
  Object.entries(values)
    .map(([key, value]) => `${key} = ${value}\n`)
    .join('')

/** Topic levels are words of a routing key: `mpf/v1/P-1/evt` is `mpf.v1.P-1.evt`. */
function definitionsFor({ fleet, devices }: BrokerNames): object {
  const vhost = '/'
  const names = [fleet, ...devices]
  return {
    users: names.map(name => ({ name, password_hash: '', tags: '' })),
    vhosts: [{ name: vhost }],
    permissions: names.map(user => ({
      ...{ user, vhost },
      configure: '^mqtt-subscription-',
      write: '^(mqtt-subscription-|amq\\.topic$)',
      read: '^(mqtt-subscription-|amq\\.topic$)',
    })),
    topic_permissions: names.map(user => {
      const own = user === fleet ? '^mpf\\.v1\\.' : '^mpf\\.v1\\.{username}\\.'
      return { ...{ user, vhost }, exchange: 'amq.topic', write: own, read: own }
    }),
  }
}
