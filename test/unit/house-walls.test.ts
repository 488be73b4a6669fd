/** A rule that has never fired on a planted violation is not a rule: plants them all, and counts who objects. */
import { spawn } from 'node:child_process'
import { copyFile, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { test } from 'tap'

const root = join(import.meta.dirname, '../..')

/** File, and the import that must not stand in it. */
const VIOLATIONS: readonly (readonly [string, string])[] = [
  // mpf is pure and imports nothing of ours.
  ['mpf/a1.ts', 'node:fs'],
  ['mpf/a2.ts', 'node:fs/promises'],
  ['mpf/a3.ts', 'node:net'],
  ['mpf/a4.ts', 'node:child_process'],
  ['mpf/a5.ts', 'node:timers/promises'],
  ['mpf/a6.ts', '#lib/clock.ts'],
  ['mpf/a7.ts', '#config'],
  ['mpf/a8.ts', '../firmware/core/errors.ts'],
  ['mpf/gcode/a9.ts', '../../drivers/index.ts'],
  ['mpf/a10.ts', '../ota/index.ts'],
  // config and lib are leaves.
  ['config/b1.ts', '#mpf'],
  ['config/b2.ts', '../mpf/index.ts'],
  ['config/b3.ts', '#lib/clock.ts'],
  ['firmware/lib/b4.ts', '#drivers'],
  ['firmware/lib/b5.ts', '../core/errors.ts'],
  ['firmware/lib/b6.ts', '../../mpf/index.ts'],
  ['firmware/lib/b7.ts', '#config'],
  // drivers and ota know #lib only.
  ['drivers/c1.ts', '#mpf'],
  ['drivers/c2.ts', '../mpf/errors.ts'],
  ['drivers/marlin/c3.ts', '../../mpf/errors.ts'],
  ['drivers/c4.ts', '#config'],
  ['drivers/c5.ts', '../firmware/core/errors.ts'],
  ['ota/c6.ts', '#mpf'],
  ['ota/c7.ts', '../drivers/index.ts'],
  // core, cloud, ctl and fleet never import each other; faces only.
  ['firmware/core/d1.ts', '../cloud/main.ts'],
  ['firmware/core/journal/d2.ts', '../../cloud/main.ts'],
  ['firmware/core/d3.ts', '../ctl/client.ts'],
  ['firmware/core/d4.ts', '../../mpf/errors.ts'],
  ['firmware/core/d5.ts', 'node:https'],
  ['firmware/core/d6.ts', 'node:tls'],
  ['firmware/core/d7.ts', '../../fleet/index.ts'],
  ['firmware/core/d20.ts', '#cloud'],
  ['firmware/ctl/d21.ts', '#cloud'],
  ['drivers/d22.ts', '#cloud'],
  ['firmware/cloud/d8.ts', '../core/errors.ts'],
  ['firmware/cloud/d9.ts', '#drivers'],
  ['firmware/ctl/d10.ts', '../core/errors.ts'],
  ['firmware/ctl/commands/d11.ts', '../../core/errors.ts'],
  ['firmware/ctl/d12.ts', '#mpf'],
  ['firmware/ctl/d12b.ts', '#mpf/program'],
  ['drivers/c1b.ts', '#mpf/program'],
  ['firmware/ctl/d13.ts', '#drivers'],
  ['firmware/ctl/d14.ts', '#config'],
  ['firmware/mpf/d15.ts', '../core/errors.ts'],
  ['firmware/mpf/d16.ts', '../../mpf/seal.ts'],
  ['fleet/d17.ts', '../firmware/core/errors.ts'],
  ['fleet/d18.ts', '../firmware/lib/clock.ts'],
  ['fleet/d19.ts', '../mpf/seal.ts'],
  // One file a vendor.
  ['firmware/core/e1.ts', 'serialport'],
  ['drivers/e2.ts', 'serialport'],
  ['drivers/e3.ts', '@serialport/parser-readline'],
  ['drivers/sim/e4.ts', '@lydell/node-pty'],
  ['firmware/core/e5.ts', 'mqtt'],
  ['firmware/cloud/e6.ts', 'mqtt'],
  ['firmware/core/e7.ts', 'pino'],
  ['ota/e8.ts', 'tuf-js'],
  ['mpf/e9.ts', 'node-forge'],
  ['mpf/e10.ts', 'jose'],
  ['firmware/core/e11.ts', 'jose'],
  ['mpf/e14.ts', 'hpke'],
  ['firmware/core/e12.ts', 'systeminformation'],
  ['fleet/e13.ts', 'jose'],
  ['fleet/e15.ts', '@fastify/busboy'],
  ['fleet/e16.ts', 'aedes'],
  ['firmware/cloud/e17.ts', 'aedes'],
  ['firmware/core/e18.ts', '@fastify/busboy'],
  ['fleet/e19.ts', 'protobufjs'],
  ['firmware/cloud/e20.ts', 'protobufjs'],
  ['fleet/sparkplug/e21.ts', 'protobufjs'],
  ['fleet/upload.ts', 'aedes'],
  ['fleet/embedded-broker.ts', 'protobufjs'],
  ['fleet/sparkplug/payload.ts', 'aedes'],
  ['fleet/embedded-broker.ts', '@fastify/busboy'],
  // The owner of one vendor is not the owner of another, nor freed of its folder's wall.
  ['drivers/serial-link.ts', '#mpf'],
  ['mpf/jose.ts', 'node-forge'],
  ['mpf/asn1.ts', 'node:fs'],
  ['firmware/cloud/mqtt-link.ts', '../core/errors.ts'],
]

/** What each folder is there to import. */
const ALLOWED: readonly (readonly [string, string])[] = [
  ['mpf/ok.ts', './errors.ts'],
  ['mpf/gcode/ok.ts', '../errors.ts'],
  ['mpf/jose.ts', 'jose'],
  ['mpf/asn1.ts', 'node-forge'],
  ['mpf/hpke.ts', 'hpke'],
  ['config/ok.ts', 'zod'],
  ['drivers/ok.ts', '#lib/clock.ts'],
  ['drivers/marlin/ok.ts', '../errors.ts'],
  ['drivers/serial-link.ts', 'serialport'],
  ['drivers/sim/pty.ts', '@lydell/node-pty'],
  ['ota/repository.ts', 'tuf-js'],
  ['firmware/lib/logger.ts', 'pino'],
  ['firmware/core/ok.ts', '#mpf'],
  ['firmware/core/ok2.ts', '#mpf/program'],
  ['firmware/core/journal/ok.ts', '../errors.ts'],
  ['firmware/core/control/ok.ts', 'node:net'],
  ['firmware/cloud/mqtt-link.ts', 'mqtt'],
  ['firmware/cloud/inventory-main.ts', 'systeminformation'],
  ['firmware/ctl/ok.ts', '#lib/json-rpc.ts'],
  ['firmware/mpf/ok.ts', '#mpf'],
  ['fleet/upload.ts', '@fastify/busboy'],
  ['fleet/embedded-broker.ts', 'aedes'],
  ['fleet/sparkplug/payload.ts', 'protobufjs'],
  ['fleet/ok.ts', '#mpf'],
  ['fleet/ok2.ts', '#cloud'],
]

/** The ways one module can name another. */
const SHAPES: readonly ((specifier: string) => string)[] = [
  specifier => `import { x } from '${specifier}'`,
  specifier => `import type { x } from '${specifier}'`,
  specifier => `export * from '${specifier}'`,
  specifier => `export const x = () => import('${specifier}')`,
]

interface Report {
  readonly diagnostics: readonly {
    readonly category: string
    readonly location: { readonly path: string | { readonly file: string } }
  }[]
}

/** Lints a tree of one-import files under the project's own biome.json; answers the files that were objected to. */
async function objectedTo(
  imports: readonly (readonly [string, string])[],
  shape: (specifier: string) => string,
): Promise<readonly string[]> {
  const tree = await mkdtemp(join(tmpdir(), 'mpfd-walls-'))
  try {
    for (const name of ['biome.json', 'package.json'])
      await copyFile(join(root, name), join(tree, name))
    for (const [file, specifier] of imports) {
      await mkdir(dirname(join(tree, file)), { recursive: true })
      await writeFile(join(tree, file), `${shape(specifier)}\n`)
    }
    const { diagnostics } = JSON.parse(await biomeReport(tree)) as Report
    const objections = diagnostics
      .filter(({ category }) => category === 'lint/style/noRestrictedImports')
      .map(({ location: { path } }) => (typeof path === 'string' ? path : path.file))
    return [...new Set(objections)].sort()
  } finally {
    await rm(tree, { recursive: true })
  }
}

async function biomeReport(tree: string): Promise<string> {
  const child = spawn(
    process.execPath,
    [
      join(root, 'node_modules/@biomejs/biome/bin/biome'),
      ...['lint', '--only=style/noRestrictedImports', '--reporter=json', '--vcs-enabled=false'],
      '--max-diagnostics=500',
    ],
    { cwd: tree, stdio: ['ignore', 'pipe', 'ignore'] },
  )
  let report = ''
  for await (const chunk of child.stdout) report += chunk
  return report
}

/** Files may be planted twice: rounds in which each file stands once. */
function rounds(
  imports: readonly (readonly [string, string])[],
): readonly (readonly (readonly [string, string])[])[] {
  const files = imports.map(([file]) => file)
  const first = imports.filter(([file], index) => files.indexOf(file) === index)
  const rest = imports.filter(([file], index) => files.indexOf(file) !== index)
  return rest.length === 0 ? [first] : [first, ...rounds(rest)]
}

test('objects to every planted violation, in whatever shape it is written', async t => {
  for (const shape of SHAPES)
    for (const round of rounds(VIOLATIONS)) {
      const expected = round.map(([file]) => file).sort()
      t.same(await objectedTo(round, shape), expected, shape('…'))
    }
})

test('lets each folder import what it is there to import', async t => {
  for (const shape of SHAPES)
    for (const round of rounds(ALLOWED)) t.same(await objectedTo(round, shape), [], shape('…'))
})
