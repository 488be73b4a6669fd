/** Makes node_modules what package-lock.json says, when it is not. Plain JS: runs on the machine's own Node (18 or later). */

import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const pinnedNode = join(root, 'node_modules/node/bin/node')

// `npm ci` wants every platform's optional packages in the registry; `install --no-save` does not, and leaves the lock as it is.
const INSTALL = ['install', '--no-save', '--no-audit', '--no-fund', '--loglevel=error']

const reason = whyStale()
if (reason !== undefined) {
  say(`setup: ${reason}; running npm ${INSTALL.join(' ')}`)
  install()
  const remaining = whyStale()
  if (remaining !== undefined) {
    say(`setup: still not as package-lock.json says: ${remaining}`)
    process.exit(1)
  }
}

/** The first difference between what is installed and what the lock names, or undefined. */
function whyStale() {
  const lock = readJson('package-lock.json')
  const installed = readJson('node_modules/.package-lock.json')
  if (lock === undefined) return 'package-lock.json is missing'
  if (installed === undefined) return 'node_modules is missing'
  for (const [path, wanted] of Object.entries(lock.packages)) {
    if (path === '') continue
    const found = installed.packages[path]
    if (found === undefined && !wanted.optional) return `${path} is missing`
    if (found !== undefined && found.version !== wanted.version)
      return `${path} is ${found.version}, not ${wanted.version}`
  }
  if (!existsSync(pinnedNode)) return 'the pinned Node is missing (were install scripts disabled?)'
  return undefined
}

function install() {
  const npm = process.env.npm_execpath
  const isNpm = npm?.endsWith('npm-cli.js')
  const { status, error } = spawnSync(
    isNpm ? process.execPath : 'npm',
    isNpm ? [npm, ...INSTALL] : INSTALL,
    { cwd: root, stdio: 'inherit' },
  )
  if (error !== undefined) say(`setup: npm: ${error.message}`)
  if (status !== 0) process.exit(1)
}

function readJson(path) {
  try {
    return JSON.parse(readFileSync(join(root, path), 'utf8'))
  } catch {
    return undefined
  }
}

function say(line) {
  process.stderr.write(`${line}\n`)
}
