/** Where an interrupted print goes on: read from the sealed file itself, never lower than what was printed last. */
import t from 'tap'
import { findResumePoint, type OpenedBody } from '../../firmware/core/admission/resume-point.ts'
import { reader, sealText, source, unlockFile } from '../fakes/mpf-world.ts'

const HEAD = ['G28', 'G90', 'M82', 'G92 E0', 'G1 Z0.2 F600']
const moves = (count: number, from: number) =>
  Array.from({ length: count }, (_, i) => `G1 X${from + i} Y10 E${(from + i) / 10}`)
/** Line 26 lifts to the second layer. */
const LINES = [...HEAD, ...moves(20, 10), 'G1 Z0.4', '; a comment', ...moves(30, 40)]

async function body(): Promise<OpenedBody> {
  const bytes = await sealText(`${LINES.join('\n')}\n`)
  const { container, manifest, keys, meta } = await unlockFile(source(bytes), reader())
  const { signal } = new AbortController()
  return { container, manifest, keys, index: meta.index, signal }
}

const mm = (nm: number) => nm / 1e6

t.test('without going back: the line itself, with the machine as the program left it', async t => {
  const { line, modal } = await findResumePoint(await body(), 30, 0)
  t.equal(line, 30)
  t.strictSame([mm(modal.xNm), mm(modal.zNm), mm(modal.eNm)], [42, 0.4, 4.2])
})

t.test('goes back by commands, not by lines', async t => {
  const { line, modal } = await findResumePoint(await body(), 50, 16)
  t.equal(line, 34)
  t.equal(mm(modal.xNm), 46)
})

t.test('never goes back below the height of the last line', async t => {
  const { line, modal } = await findResumePoint(await body(), 30, 16)
  t.equal(line, 26, 'the lift itself, not the layer under it')
  t.equal(mm(modal.zNm), 0.4)
})
