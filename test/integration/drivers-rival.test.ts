/** Debian's printcore and our driver, one after the other, on the same simulated board over a line that damages a bit in five hundred bytes. */
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import t from 'tap'
import { type FaultPlan, parseFaults, startSimulatedMarlin } from '#drivers'
import { FAST, movesOf, never, openBench, program, sourceOf } from '../fakes/drivers-bench.ts'

const PYTHON = '/usr/bin/python3'
const HAS_PRINTCORE =
  spawnSync(PYTHON, ['-c', 'import printrun.printcore'], { stdio: 'ignore' }).status === 0
/** As its command line drives it; the last word is its own opinion of the end. */
const PRINTCORE = `
import sys, time
from printrun.printcore import printcore
from printrun import gcoder
core = printcore(sys.argv[1], 250000)
while not core.online: time.sleep(0.01)
core.startprint(gcoder.LightGCode(sys.stdin.read().split('\\n')))
while core.printing: time.sleep(0.005)
core.disconnect()
print('done')
`
const NOISE = parseFaults('seed=1,flip-in=0.002,flip-out=0.002')
const LINES = program(200)
/** It waits for a damaged acknowledgement for ever: long enough to see that nothing moves any more. */
const STANDSTILL_MS = 3000
/** For an interpreter on a busy computer. */
const START_MS = 60_000

/** Sends with printcore until it is done, or until nothing was executed for a while. */
async function rival(faults: FaultPlan | undefined) {
  const executed: string[] = []
  let lastMs = performance.now()
  await using board = startSimulatedMarlin({
    speed: FAST,
    ...(faults && { faults }),
    onExecuted: text => {
      executed.push(text)
      if (/^G1 X/.test(text)) lastMs = performance.now()
    },
  })
  const child = spawn(PYTHON, ['-c', PRINTCORE, board.port], { stdio: ['pipe', 'pipe', 'ignore'] })
  let said = ''
  child.stdout.on('data', (chunk: Buffer) => {
    said += chunk.toString()
  })
  child.stdin.end(LINES.join('\n'))
  const watch = setInterval(() => {
    const limitMs = faults && executed.length > 10 ? STANDSTILL_MS : START_MS
    if (performance.now() - lastMs > limitMs) child.kill('SIGKILL')
  }, 100)
  await once(child, 'close')
  clearInterval(watch)
  return { isDone: said.includes('done'), moves: movesOf(executed) }
}

t.test('over a clean line the rival sends what we send', async t => {
  if (!HAS_PRINTCORE) return void t.comment('printrun is not installed: the rival was not run')
  const { isDone, moves } = await rival(undefined)
  t.ok(isDone)
  t.strictSame(moves, LINES, 'a fair board')
})

t.test('over a noisy line ours is exact, or stops with a reason', async t => {
  const { controller, executed } = await openBench(t, { hasAdvancedOk: true, faults: NOISE })
  const outcome = await controller.stream(sourceOf(LINES), { signal: never }).then(
    () => 'done',
    (error: { code?: string }) => error.code,
  )
  t.match(outcome, /^done$|^DRIVER_NOISE$|^DRIVER_PROTOCOL$/)
  if (outcome === 'done') t.strictSame(movesOf(executed), LINES)
  t.comment(`ours: ${outcome}, ${movesOf(executed).length} of ${LINES.length} moves`)
  if (!HAS_PRINTCORE) return void t.comment('printrun is not installed: the rival was not run')
  const { isDone, moves } = await rival(NOISE)
  t.comment(`printcore: ${isDone ? 'done' : 'stuck'}, ${moves.length} of ${LINES.length} moves`)
})
