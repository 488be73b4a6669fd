/** `npm test`: linter, compiler, tap; one readable line a file, and at the end `N passed, N failed`, counted from tap's own results. */

import { spawn } from 'node:child_process'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { createTapCount } from './tap-count.ts'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')

// As the launchers do: what one test file compiled, the next one need not.
process.env.NODE_COMPILE_CACHE ??= join(root, 'node_modules/.cache/mpfd')

const failedChecks = []
for (const [name, tool, ...args] of [
  ['lint', 'biome', 'check', '--error-on-warnings'],
  ['types', 'tsc', '-p', '.'],
]) {
  const code = await run(tool, args)
  say(`${code === 0 ? 'ok  ' : 'FAIL'} ${name}`)
  if (code !== 0) failedChecks.push(name)
}

const { tally, push } = createTapCount()
const tapCode = await run('tap', ['--reporter=tap', ...process.argv.slice(2)], line => {
  for (const shown of push(line)) say(shown)
})
if (tapCode !== 0 && tally.failed === 0) {
  say(`FAIL tap ended with ${tapCode} without naming a failure`)
  tally.failed++
}
if (tapCode === 0 && tally.passed === 0) {
  say('FAIL tap ran no test')
  tally.failed++
}
if (tally.skipped > 0) say(`${tally.skipped} skipped`)
if (failedChecks.length > 0) say(`failed before the tests: ${failedChecks.join(', ')}`)

// A failed check counts as one failure, so that the last line never says 0 failed when the exit code says otherwise.
const failed = tally.failed + failedChecks.length
say(`${tally.passed} passed, ${failed} failed`)
process.exitCode = failed === 0 ? 0 : 1

/** Runs one of the installed tools; resolves with its exit code. Its output is shown as it is unless `onLine` takes it. */
function run(tool, args, onLine) {
  return new Promise((resolve, reject) => {
    const child = spawn(join(root, 'node_modules/.bin', tool), args, {
      cwd: root,
      stdio: ['ignore', onLine ? 'pipe' : 'inherit', 'inherit'],
    })
    const ended = new Promise(closed => {
      if (onLine) createInterface({ input: child.stdout }).on('line', onLine).on('close', closed)
      else closed()
    })
    child.on('error', reject)
    child.on('exit', code => ended.then(() => resolve(code ?? 1)))
  })
}

function say(line) {
  process.stdout.write(`${line}\n`)
}
