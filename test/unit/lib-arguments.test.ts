/** An identifier that begins with a dash is a value like any other. */
import { parseArgs } from 'node:util'
import { test } from 'tap'
import { joinIdentifiers } from '#lib/arguments.ts'

const ID = '-OWtu7NqWF1hdRUNl-dmGQ'
const options = { tenant: { type: 'string' }, out: { type: 'string', short: 'o' } } as const
const parse = (...args: readonly string[]) =>
  parseArgs({ args: joinIdentifiers(args), options, allowPositionals: true })

test('identifiers are joined to their option, nothing else is', async t => {
  t.equal(parse('--tenant', ID).values.tenant, ID)
  t.equal(parse(`--tenant=${ID}`).values.tenant, ID)
  t.match(parse('seal', '--tenant', ID, '-o', 'x'), { values: { out: 'x' }, positionals: ['seal'] })
  t.throws(() => parse('--tenant', '--out', 'x'), { code: 'ERR_PARSE_ARGS_INVALID_OPTION_VALUE' })
  t.throws(() => parse('--tenant', '-o', 'x'), { code: 'ERR_PARSE_ARGS_INVALID_OPTION_VALUE' })
  t.throws(() => parse(ID), { code: 'ERR_PARSE_ARGS_UNKNOWN_OPTION' })
})
