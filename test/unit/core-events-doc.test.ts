import { readFile } from 'node:fs/promises'
import t from 'tap'
import { EVENTS } from '../../firmware/core/journal/events.ts'

t.test(
  'docs/events.md lists exactly the events of the code, with severity and occasion',
  async t => {
    const text = await readFile(new URL('../../docs/events.md', import.meta.url), 'utf8')
    const documented = Object.fromEntries(
      text
        .split('\n')
        .filter(line => line.startsWith('| `'))
        .map(line => line.split('|').map(cell => cell.trim()))
        .map(([, type = '', severity, when]) => [type.replaceAll('`', ''), { severity, when }]),
    )
    t.strictSame(documented, EVENTS)
  },
)
