/** A fixed slice of the fuzzer (test/fuzz/mpf-mutate.ts), so that every run of the tests breaks a few thousand files the same way. */
import { test } from 'tap'
import { createMutants, createSpecimens } from '../fuzz/mpf-mutants.ts'
import { createJudge, fuzz } from '../fuzz/mpf-mutate.ts'

test('the specimens are good', async t => {
  const judge = createJudge()
  for (const specimen of createSpecimens())
    t.equal(await judge({ mutation: 'none', ...specimen }), 'opens')
})

test('a judge that sees another text says so', async t => {
  const judge = createJudge()
  const [specimen] = createSpecimens()
  const bytes = specimen?.bytes ?? Buffer.alloc(0)
  await t.rejects(judge({ mutation: 'none', bytes, blocks: ['G28 X\n'] }))
  await t.rejects(judge({ mutation: 'none', bytes, blocks: ['G28\n', 'G28\n'] }))
})

test('the same seed is the same sequence', async t => {
  const [one, two] = [7, 7].map(seed => createMutants(seed, createSpecimens()))
  for (let i = 0; i < 50; i++) {
    const [a, b] = [one?.(), two?.()]
    t.ok(a && b && a.mutation === b.mutation && a.bytes.equals(b.bytes))
  }
})

test('a thousand mutants: each is refused with a code or says what was sealed', async t => {
  const { mutants, outcomes } = await fuzz(2026, 1000)
  t.equal(mutants, 1000)
  t.ok(outcomes.size >= 15, `${outcomes.size} different outcomes`)
})
