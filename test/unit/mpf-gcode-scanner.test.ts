/** The grammar of a line: nothing outside it is accepted, everything inside it is read to the last digit. */
import fc from 'fast-check'
import { test } from 'tap'
import { Machine } from '../../mpf/gcode/machine.ts'
import { decodeModal, encodeModal } from '../../mpf/gcode/modal.ts'
import { EMPTY, MALFORMED } from '../../mpf/gcode/scanner.ts'
import { WORD_NAMES } from '../../mpf/gcode/tables.ts'
import { LIMITS, MM, run, scan } from '../fakes/mpf-machine.ts'

test('reads a word, its parameters and its comment', async t => {
  const scanner = scan('  G1 X-1.5Y+.25 Z3.  F1200 ; comment; more')
  t.equal(WORD_NAMES[scanner.word], 'G1')
  t.same(
    [...'XYZF'].map(letter => scanner.values[letter.charCodeAt(0) - 65]),
    [-1.5, 0.25, 3, 1200].map(value => value * MM),
  )
  t.equal(scanner.commandBytes, 'G1 X-1.5Y+.25 Z3.  F1200'.length)
})

test('drops digits past a nanometre, never rounds', async t => {
  t.equal(scan('G1 X0.1234567').values[23], 123456)
  t.equal(scan('G1 X-0.9999999').values[23], -999999)
  t.equal(scan('G1 X999999999.999999').values[23], 999999999999999)
})

test('takes leading zeros of a word as firmware does', async t => {
  for (const word of ['G01', 'G001', 'G1']) t.equal(WORD_NAMES[scan(word).word], 'G1')
  t.equal(WORD_NAMES[scan('M862.3 P1').word], 'M862')
  for (const word of ['G0001', 'M862.', 'M862.x', 'G1.0', 'M104.1'])
    t.equal(scan(word).word, MALFORMED)
})

test('an empty line, spaces and a comment are no command', async t => {
  for (const line of ['', '   ', ';', ' ; G1 X1']) t.equal(scan(line).word, EMPTY)
})

test('survives any bytes, line numbers and all', async t => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 400 }), bytes => {
      const machine = new Machine(LIMITS, () => undefined)
      machine.run(bytes)
      const lines =
        bytes.filter(byte => byte === 10).length +
        (bytes.at(-1) === 10 || bytes.length === 0 ? 0 : 1)
      return machine.line === lines && decodeModal(encodeModal(machine.modal())) !== undefined
    }),
    { seed: 2, numRuns: 5000 },
  )
  t.pass()
})

test('a last line without its end is refused', async t => {
  t.same(new Set(run('G28\nG1 X1').refused), new Set(['MPF_GCODE 2']))
})
