/** RFC 5424 as its grammar has it, whatever is put into a line. */
import { randomInt } from 'node:crypto'
import { test } from 'tap'
import { syslogText } from '#lib/syslog.ts'

/** The ABNF of RFC 5424, section 6, for a line of ours: one element, no PROCID. */
const LINE =
  /^<(\d{1,3})>1 (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z) ([!-~]{1,255}) ([!-~]{1,48}) - ([!-~]{1,32}) \[([!#-<>-\\^-~]{1,32})((?: [!#-<>-\\^-~]{1,32}="(?:[^"\\\]\p{Cc}]|\\["\\\]])*")*)\](?: (\ufeff?)(.*))?$/su

const ENTRY = {
  ...{ severity: 4, atMs: Date.UTC(2026, 10, 22, 1, 2, 3, 4), hostname: 'T-1', app: 'mpfd' },
  ...{ messageId: 'job.done', element: 'mpfd', data: { seq: 7 }, message: 'done' },
}

test('writes the line of the standard', async t => {
  t.equal(
    syslogText(ENTRY),
    '<108>1 2026-11-22T01:02:03.004Z T-1 mpfd - job.done [mpfd@32473 seq="7"] done',
  )
  const text = syslogText({ ...ENTRY, data: { a: 'q"b\\s]n\n' }, message: 'größer' })
  t.match(text, /a="q\\"b\\\\s\\]n "\] \ufeffgrößer$/)
})

test('every line fits the grammar, whatever is in it, and is one line', async t => {
  const alphabet = [...'aZ09 .=]["\\@<>\u0000\u001b\n\r\t\u007f\u0085ü漢🙂', '\ud800']
  const text = () =>
    Array.from({ length: randomInt(40) }, () => alphabet[randomInt(alphabet.length)]).join('')
  const bad: string[] = []
  for (let round = 0; round < 5000; round += 1) {
    const line = syslogText({
      ...{ severity: randomInt(8), atMs: randomInt(2 ** 41), hostname: text(), app: text() },
      ...{ messageId: text(), element: text(), data: { [text()]: text(), [text()]: text() } },
      message: text(),
    })
    const [, priority = '', , , , , , , mark = '', message = ''] = LINE.exec(line) ?? []
    const isAscii = /^[\x20-\x7e]*$/.test(message)
    const isGood =
      Number(priority) >> 3 === 13 && isAscii === (mark === '') && !/\p{Cc}/u.test(line)
    if (!isGood) bad.push(line)
  }
  t.same(bad, [])
})
