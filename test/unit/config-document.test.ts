/** docs/configuration.md and the schema name the same keys; the unit keeps what it promises. */
import { readFile } from 'node:fs/promises'
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
