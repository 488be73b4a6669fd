import t from 'tap'
import {
  createLineReader,
  formatFailure,
  formatNotification,
  formatRequest,
  formatResult,
  parseReply,
  parseRequest,
} from '#lib/json-rpc.ts'

const bytes = (text: string) => Buffer.from(text)
const lineOf = (text: string) => bytes(text.trimEnd())

t.test('cuts a stream into lines wherever the chunks end', async t => {
  const reader = createLineReader(100)
  t.strictSame(reader.push(bytes('one\ntw')).lines.map(String), ['one'])
  t.strictSame(reader.push(bytes('o\n\nthree\n')).lines.map(String), ['two', '', 'three'])
})

t.test('says so when a line is longer than the bound, finished or not', async t => {
  t.equal(createLineReader(10).push(bytes('x'.repeat(11))).isOverlong, true)
  t.equal(createLineReader(10).push(bytes(`${'x'.repeat(11)}\n`)).isOverlong, true)
  t.equal(createLineReader(10).push(bytes(`${'x'.repeat(10)}\n`)).isOverlong, false)
  const slow = createLineReader(10)
  t.equal(slow.push(bytes('x'.repeat(6))).isOverlong, false)
  t.equal(slow.push(bytes('x'.repeat(6))).isOverlong, true)
})

t.test('reads back the requests it writes', async t => {
  t.strictSame(parseRequest(lineOf(formatRequest(7, 'jobs.show', { job: 'aa' }))), {
    kind: 'request',
    id: 7,
    method: 'jobs.show',
    params: { job: 'aa' },
  })
  t.match(parseRequest(bytes('{"jsonrpc":"2.0","id":"a","method":"status"}')), { params: {} })
})

t.test('refuses what is not one request object of JSON-RPC 2.0', async t => {
  const malformed = {
    'not JSON': 'hello',
    'not UTF-8': '{"jsonrpc":"2.0","id":1,"method":"\xff"}',
    'a batch': '[{"jsonrpc":"2.0","id":1,"method":"status"}]',
    'a notification': '{"jsonrpc":"2.0","method":"status"}',
    'positional parameters': '{"jsonrpc":"2.0","id":1,"method":"status","params":[1]}',
    'another version': '{"jsonrpc":"1.0","id":1,"method":"status"}',
    'an unknown member': '{"jsonrpc":"2.0","id":1,"method":"status","auth":"x"}',
    'a fractional id': '{"jsonrpc":"2.0","id":1.5,"method":"status"}',
    'a long method': `{"jsonrpc":"2.0","id":1,"method":"${'m'.repeat(65)}"}`,
    null: 'null',
    'deep nesting': '['.repeat(60_000),
  }
  for (const [what, text] of Object.entries(malformed))
    t.match(parseRequest(Buffer.from(text, 'latin1')), { kind: 'malformed' }, what)
})

t.test('names the id of a malformed request where it can be told', async t => {
  t.match(parseRequest(bytes('{"id":3,"method":"status"}')), { kind: 'malformed', id: 3 })
  t.match(parseRequest(bytes('{"method":"status"}')), { kind: 'malformed', id: null })
})

t.test('reads back the replies it writes', async t => {
  t.strictSame(parseReply(lineOf(formatResult(1, { a: 1 }))), {
    kind: 'result',
    id: 1,
    result: { a: 1 },
  })
  const failure = { code: -32000, message: 'no', data: { code: 'JOB_STATE' } }
  t.strictSame(parseReply(lineOf(formatFailure(null, failure))), {
    kind: 'error',
    id: null,
    failure,
  })
  t.strictSame(parseReply(lineOf(formatNotification('event', { sequence: 1 }))), {
    kind: 'notification',
    method: 'event',
    params: { sequence: 1 },
  })
  t.match(parseReply(bytes('{"x":1}')), { kind: 'malformed' })
})
