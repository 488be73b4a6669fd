/** Where an interrupted print goes on: read from the sealed file itself, never lower than what was printed last. */
import t from 'tap'
import { findResumePoint, type OpenedBody } from '../../firmware/core/admission/resume-point.ts'
import { findStandingLine } from '../../firmware/core/admission/standing-line.ts'
import { reader, source, unlockFile } from '../fakes/mpf-reader.ts'
import { sealText } from '../fakes/mpf-sealed.ts'

const HEAD = ['G28', 'G90', 'M82', 'G92 E0', 'G1 Z0.2 F600']
const moves = (count: number, from: number) =>
  Array.from({ length: count }, (_, i) => `G1 X${from + i} Y10 E${(from + i) / 10}`)
/** Line 26 lifts to the second layer. */
const LINES = [...HEAD, ...moves(20, 10), 'G1 Z0.4', '; a comment', ...moves(30, 40)]

async function body(lines = LINES): Promise<OpenedBody> {
  const bytes = await sealText(`${lines.join('\n')}\n`)
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

t.test('the place where the machine stands names the line it stopped at', async t => {
  const at = async (x: number, z: number, e: number, from = 10) =>
    findStandingLine(await body(), from, { x, y: 10, z, e })
  t.equal(await at(14, 0.2, 1.4), 10, 'the line kept last')
  t.equal(await at(20.01, 0.2, 2), 16, 'rounded as a controller does')
  t.equal(await at(29, 0.4, 2.9), 26, 'the lift after it')
  t.equal(await at(60, 0.4, 6), 48, 'over a layer, comments counted')
  t.equal(await at(14, 0.2, 1.4, 30), undefined, 'behind the line kept last')
  t.equal(await at(60.5, 0.4, 6), undefined, 'in the middle of a move')
})

t.test('a place the program comes to twice names no line', async t => {
  const lines = [...HEAD, 'G1 X10 Y10 E1', 'G1 X20 Y10 E1', 'G1 X10 Y10 E1', 'G1 X30 Y10 E2']
  const standing = async (x: number, e: number) =>
    findStandingLine(await body(lines), 6, { x, y: 10, z: 0.2, e })
  t.equal(await standing(10, 1), undefined)
  t.equal(await standing(20, 1), 7)
})
