/** The audit at layer changes: what a line's checksum lets through stops the print. */
import t from 'tap'
import { type AuditVerdict, comparePositions, type Position } from '#drivers'
import { PositionWatch } from '../../firmware/core/engine/position-watch.ts'
import { twoLayers } from '../fakes/core-bench.ts'

const PLACE: Position = { x: 1, y: 2, z: 3, e: 4 }

function watchOf(verdicts: readonly AuditVerdict[]): {
  readonly watch: PositionWatch
  readonly asked: Partial<Position>[]
} {
  const asked: Partial<Position>[] = []
  const watch = new PositionWatch(async expected => {
    asked.push(expected)
    return verdicts[asked.length - 1] ?? { kind: 'unknown' }
  })
  return { watch, asked }
}

const agrees: AuditVerdict = { kind: 'agrees', reported: PLACE }
const differs: AuditVerdict = {
  kind: 'differs',
  reported: PLACE,
  deltaMm: { x: 0.1, y: 0, z: 0, e: 0 },
}

t.test('compares what is certain', async t => {
  const { watch, asked } = watchOf(new Array<AuditVerdict>(4).fill(agrees))
  for (const text of ['G90', 'G1 X5 Y6 E1', 'M82', 'G1 E2']) watch.note(text)
  await watch.check()
  t.strictSame(asked.at(-1), { x: 5, y: 6, e: 2 })
  watch.note('G28')
  watch.note('G1 Z1')
  await watch.check()
  t.strictSame(asked.at(-1), { z: 1 })
})

t.test('relative extrusion is followed from where the controller says that it stands', async t => {
  const asked: Partial<Position>[] = []
  let reported: Position = { x: 1, y: 2, z: 3, e: 7 }
  const watch = new PositionWatch(async expected => {
    asked.push(expected)
    return comparePositions(expected, reported)
  })
  for (const text of ['M83', 'G1 X1 Y2 Z3 E0.5']) watch.note(text)
  t.equal(await watch.check(), 'compared')
  t.equal(asked.length, 2, 'believed once it was told twice')
  for (let line = 0; line < 60; line++) watch.note('G1 X1 E0.1')
  reported = { ...reported, e: 13 }
  t.equal(await watch.check(), 'compared')
  for (let line = 0; line < 60; line++) watch.note('G1 X1 E0.1')
  reported = { ...reported, e: 18.9 }
  await t.rejects(watch.check(), { code: 'PRINTER_POSITION', message: /E-0\.10/ })
})

t.test('says so where nothing can be compared', async t => {
  const { watch, asked } = watchOf([])
  t.equal(await watch.check(), 'unknown', 'nothing is known')
  t.equal(asked.length, 0)
  watch.note('G1 X1')
  t.equal(await watch.check(), 'unknown', 'it does not say')
})

t.test('what was followed in one unit is no place in the other', async t => {
  const { watch, asked } = watchOf([agrees, agrees])
  for (const text of ['G20', 'G1 X1 Y1', 'G21', 'G1 Y5']) watch.note(text)
  await watch.check()
  t.strictSame(asked.at(-1), { y: 5 })
})

t.test('G90 after M83 says nothing certain about E, and inches nothing at all', async t => {
  const { watch, asked } = watchOf([agrees, agrees])
  for (const text of ['M83', 'G90', 'G1 X1 E1']) watch.note(text)
  await watch.check()
  t.strictSame(asked, [{ x: 1 }])
  watch.note('G20')
  watch.note('G1 X1')
  t.equal(await watch.check(), 'unknown')
  t.equal(asked.length, 1)
})

t.test('one damaged answer is asked again; three that differ are believed', async t => {
  const once = watchOf([differs, agrees])
  once.watch.note('G1 X1')
  await once.watch.check()
  t.equal(once.asked.length, 2)
  t.equal(once.watch.audits, 1)
  const always = watchOf([differs, differs, differs])
  always.watch.note('G1 X1')
  await t.rejects(always.watch.check(), { code: 'PRINTER_POSITION', message: /X0\.10 Y0\.00/ })
})

t.test('a controller that is somewhere else ends the print before the next layer', async t => {
  await using b = await twoLayers(t.testdir())
  b.controller.place = { x: 0, y: 0, z: 0.3, e: 0 }
  await b.engine.start('aa')
  b.controller.allow()
  await b.finished()
  t.match(b.journal.job('aa'), { state: 'failed', code: 'PRINTER_POSITION', ackedLine: 5 })
  t.notOk(b.controller.executed.includes('G1 X1 E1 F1500'), 'nothing of the next layer')
  t.ok(b.controller.executed.includes('M104 S0'), 'and the heaters are off')
})

t.test('a print that agrees says how often it was asked', async t => {
  await using b = await twoLayers(t.testdir())
  await b.engine.start('aa')
  b.controller.allow()
  await b.finished()
  const done = b.journal.events(0, 100).findLast(({ type }) => type === 'job.done')
  t.match(done?.detail, { audits: 2, resends: 0, okToNextP99Ms: 0.4, wireUtilisation: 0.5 })
})
