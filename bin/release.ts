/**
 * `npm run release -- DIRECTORY`: what is installed on a printer. Each program is one file of JavaScript: a start opens a dozen files
 * instead of hundreds, and unused code is not kept in memory. The sources are what is read, tested and debugged.
 */

import { chmod, cp, mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { build, type Metafile } from 'esbuild'

const ROOT = join(import.meta.dirname, '..')

/** What is started: by a launcher, or by a program as a process or thread of its own (`#program/` in package.json). */
const PROGRAMS = [
  'firmware/core/main.ts',
  'firmware/core/clock-main.ts',
  'firmware/core/admission/preflight-worker.ts',
  'firmware/cloud/main.ts',
  'firmware/cloud/inventory-main.ts',
  'firmware/ctl/main.ts',
  'firmware/mpf/main.ts',
  'firmware/all/main.ts',
  'drivers/sim/main.ts',
] as const
const LAUNCHERS = ['mpfd', 'mpfd-cloud', 'mpfd-clock', 'mpfctl', 'mpf'] as const
/** Stay packages: native code, and what is loaded only when it is needed. */
const PACKAGES = ['serialport', '@lydell/node-pty', 'node-forge'] as const
const BESIDE = [
  ...['README.md', 'LICENSE', 'SECURITY.md', 'docs', 'config/samples', 'config/systemd'],
  'node_modules/node/bin/node',
] as const
/** CommonJS inside a module asks for Node's own modules by `require`. */
const REQUIRE = 'import{createRequire as $r}from"node:module";const require=$r(import.meta.url);'

interface Installed {
  readonly version: string
  readonly license?: string
  readonly dependencies?: Readonly<Record<string, string>>
  readonly optionalDependencies?: Readonly<Record<string, string>>
}
/** What npm installed, by path. */
type Packages = ReadonlyMap<string, Installed>

/** Writes the release into `directory`. The same sources and packages give the same bytes. */
export async function buildRelease(directory: string): Promise<void> {
  const { metafile } = await build({
    absWorkingDir: ROOT,
    entryPoints: [...PROGRAMS],
    outbase: '.',
    outdir: directory,
    bundle: true,
    platform: 'node',
    target: 'node26',
    format: 'esm',
    // Names stay: a stack trace that comes from a printer is to be read.
    minifySyntax: true,
    minifyWhitespace: true,
    legalComments: 'none',
    external: [...PACKAGES],
    banner: { js: REQUIRE },
    metafile: true,
  })
  const packages = await installedPackages()
  const kept = PACKAGES.flatMap(name => closureOf(name, '', packages))
  for (const path of new Set([...BESIDE, ...kept]))
    await cp(join(ROOT, path), join(directory, path), { recursive: true })
  for (const name of LAUNCHERS) await writeLauncher(name, directory)
  await writeManifest(directory)
  await writeFile(join(directory, 'NOTICE'), await noticeOf(metafile, packages))
}

/** As in the sources, on JavaScript. */
async function writeLauncher(name: string, directory: string): Promise<void> {
  const text = await readFile(join(ROOT, 'bin', name), 'utf8')
  const path = join(directory, 'bin', name)
  await mkdir(dirname(path), { recursive: true })
  await writeFile(path, text.replaceAll('.ts"', '.js"'))
  await chmod(path, 0o755)
}

async function writeManifest(directory: string): Promise<void> {
  const text = await readFile(join(ROOT, 'package.json'), 'utf8')
  const { name, version, license, type, imports } = JSON.parse(text)
  const programs = Object.entries<string>(imports)
    .filter(([key]) => key.startsWith('#program/'))
    .map(([key, path]) => [key, path.replace(/ts$/, 'js')])
  const manifest = { name, version, license, type, imports: Object.fromEntries(programs) }
  await writeFile(join(directory, 'package.json'), `${JSON.stringify(manifest, undefined, 2)}\n`)
}

async function installedPackages(): Promise<Packages> {
  const lock = await readFile(join(ROOT, 'node_modules/.package-lock.json'), 'utf8')
  return new Map(Object.entries<Installed>(JSON.parse(lock).packages))
}

/** Paths of a package and of all it needs, each where Node looks for it. */
function closureOf(name: string, from: string, packages: Packages): readonly string[] {
  const path = join(from, 'node_modules', name)
  const entry = packages.get(path)
  if (!entry) return from === '' ? [] : closureOf(name, parentOf(from), packages)
  const needed = Object.keys({ ...entry.dependencies, ...entry.optionalDependencies })
  return [path, ...needed.flatMap(each => closureOf(each, path, packages))]
}

function parentOf(path: string): string {
  return path.slice(0, Math.max(0, path.lastIndexOf('/node_modules/')))
}

/** The terms of whatever was bundled: most licences ask to be passed on. */
async function noticeOf({ inputs }: Metafile, packages: Packages): Promise<string> {
  const paths = Object.keys(inputs).flatMap(
    input => /^(?:.*\/)?node_modules\/(?:@[^/]+\/)?[^/]+(?=\/)/.exec(input)?.[0] ?? [],
  )
  const notices = [...new Set(paths)].toSorted().map(async path => {
    const { version, license } = packages.get(path) ?? {}
    const terms = (await readdir(join(ROOT, path))).find(name => /^licen[cs]e/i.test(name))
    const text = terms ? await readFile(join(ROOT, path, terms), 'utf8') : ''
    return `${path.replace(/^.*node_modules\//, '')} ${version} (${license})\n\n${text.trim()}\n`
  })
  return (await Promise.all(notices)).join(`\n${'-'.repeat(80)}\n\n`)
}

if (import.meta.main) {
  const [directory] = process.argv.slice(2)
  if (!directory) {
    process.stderr.write('usage: npm run release -- DIRECTORY\n')
    process.exit(2)
  }
  await buildRelease(directory)
  process.stdout.write(`${directory}: install it as /usr/lib/mpfd (docs/configuration.md)\n`)
}
