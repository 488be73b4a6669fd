/** The last line of `npm test` is only as good as this counting. */
import { test } from 'tap'
import { createTapCount } from '../../bin/tap-count.ts'

/** What tap 21.8 prints with `--reporter=tap`, shortened. */
const STREAM = `TAP version 14
1..3
# Subtest: test/unit/good.test.ts
    # Subtest: loads
        ok 1 - should be equal
        1..1
    ok 1 - loads # time=2.5ms
    
    ok 2 - later # SKIP not yet
    1..2
ok 1 - test/unit/good.test.ts # time=159.4ms

# Subtest: test/unit/bad.test.ts
    ok 1 - a # time=1ms
    # Subtest: b
        not ok 1 - uu
          ---
          diff: |
            -2
            +1
          ...
        1..1
    not ok 2 - b # time=38ms
    1..2
not ok 2 - test/unit/bad.test.ts # time=104ms
  ---
  exitCode: 1
  ...
# Subtest: test/unit/crash.test.ts
    ok 1 - a # time=1ms
    1..1
not ok 3 - test/unit/crash.test.ts # time=44ms
# { total: 6, pass: 4, fail: 2 }
`

test('counts tests, not asserts, and a crashed file as one failure', async t => {
  const { tally, push } = createTapCount()
  for (const line of STREAM.split('\n')) push(line)
  t.same(tally, { passed: 3, failed: 2, skipped: 1 })
})

test('shows one line for a good file and everything of a bad one', async t => {
  const { push } = createTapCount()
  const shown = STREAM.split('\n').flatMap(line => push(line))
  t.equal(shown[0], 'ok   test/unit/good.test.ts  1 passed, 1 skipped  159 ms')
  t.equal(shown[1], 'FAIL test/unit/bad.test.ts  1 passed, 1 failed  104 ms')
  t.ok(shown.includes('            +1'), 'with its difference')
  t.notOk(
    shown.some(line => line.includes('should be equal')),
    'without what passed',
  )
  t.ok(shown.includes('FAIL test/unit/crash.test.ts  1 passed, 1 failed  44 ms'))
})

test('a bail-out is a failure', async t => {
  const { tally, push } = createTapCount()
  t.same(push('Bail out! no more'), ['Bail out! no more'])
  t.equal(tally.failed, 1)
})
