/** docs/configuration.md and the schema name the same keys; the unit keeps what it promises. */
import { spawnSync } from 'node:child_process'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'tap'
import { z } from 'zod'
import { configSchema } from '../../config/schema.ts'

const root = join(import.meta.dirname, '../..')

interface Node {
  readonly properties?: Readonly<Record<string, Node>>
  readonly items?: Node
}

/** Dotted paths of every leaf; a list of objects adds `[]`. */
function keysOf(node: Node, path = ''): readonly string[] {
  if (node.items?.properties) return keysOf(node.items, `${path}[]`)
  if (!node.properties) return [path]
  return Object.entries(node.properties).flatMap(([key, child]) =>
    keysOf(child, path === '' ? key : `${path}.${key}`),
  )
}

test('documents every key of the configuration, and no other', async t => {
  const keys = keysOf(z.toJSONSchema(configSchema, { io: 'input' }) as Node)
  const document = await readFile(join(root, 'docs/configuration.md'), 'utf8')
  const documented = [...document.matchAll(/^\| `([^`]+)` \|/gm)].map(([, key]) => key)
  t.ok(keys.length > 25)
  t.same(documented.sort(), [...keys].sort())
})

test('the unit leaves the core no network, no swap, no core dump, no way up', async t => {
  const unit = await readFile(join(root, 'config/systemd/mpfd.service'), 'utf8')
  const lines = unit.split('\n')
  for (const line of [
    'PrivateNetwork=yes',
    'RestrictAddressFamilies=AF_UNIX',
    'MemorySwapMax=0',
    'LimitCORE=0',
    'ProtectSystem=strict',
    'DevicePolicy=closed',
    'NoNewPrivileges=yes',
    'CapabilityBoundingSet=',
  ])
    t.ok(lines.includes(line), line)
  for (const line of lines) t.match(line, /^($|#|\[[A-Z][a-z]+\]$|[A-Z][A-Za-z]+=)/)
})

test('the unit of the courier keeps it from the keys and the state of the core, and from ever being a server', async t => {
  const unit = await readFile(join(root, 'config/systemd/mpfd-cloud.service'), 'utf8')
  const lines = unit.split('\n')
  for (const line of [
    'User=mpfd-cloud',
    'InaccessiblePaths=-/var/lib/mpfd',
    'SocketBindDeny=any',
    'MemorySwapMax=0',
    'LimitCORE=0',
    'ProtectSystem=strict',
    'PrivateDevices=yes',
    'NoNewPrivileges=yes',
    'CapabilityBoundingSet=',
  ])
    t.ok(lines.includes(line), line)
  for (const line of lines) t.match(line, /^($|#|\[[A-Z][a-z]+\]$|[A-Z][A-Za-z]+=)/)
})

test('systemd understands both units', async t => {
  const directory = t.testdir()
  const units = await Promise.all(
    ['mpfd', 'mpfd-cloud'].map(async name => {
      const unit = await readFile(join(root, `config/systemd/${name}.service`), 'utf8')
      const path = join(directory, `${name}.service`)
      await writeFile(path, unit.replace(/^ExecStart=.*$/m, 'ExecStart=/bin/true'))
      return path
    }),
  )
  const { error, stderr } = spawnSync('systemd-analyze', ['verify', '--man=no', ...units], {
    encoding: 'utf8',
  })
  if (error) t.comment('systemd-analyze is not installed: the units were not verified')
  else t.notMatch(stderr, new RegExp(directory))
})
