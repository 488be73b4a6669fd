/** Twenty seeds of the fault lab; a thousand are run by hand (`node test/faults/drivers-lab.ts --runs 1000`). */
import { join } from 'node:path'
import t from 'tap'
import { programOf, runAll } from '../faults/drivers-lab.ts'

const SEEDS = 20
const LINES = 400

t.test(
  'a run that reports success executed the program; no failing run leaves a heater on',
  async t => {
    const lines = programOf(join(import.meta.dirname, '../samples/clip.gcode'), 210).slice(0, LINES)
    const outcomes = await runAll(1, SEEDS, lines, run => {
      t.equal(run.violation, undefined, `seed ${run.seed}, ${run.dialect}: ${run.outcome}`)
    })
    const exact = [...outcomes].filter(([key]) => key.endsWith(' exact'))
    t.ok(exact.length > 0, 'some links carry the program')
  },
)
