/** A printer asks for the next blocks while the last are still on their way: none of its requests is lost, and a flood of them is bounded. */
import { test } from 'tap'
import { topicOf } from '#cloud'
import { fleet, until } from '../fakes/cloud-bench.ts'

test('requests of one printer are served one after the other, four at most', async t => {
  await using on = await fleet('aedes')
  const served: string[] = []
  const gates: (() => void)[] = []
  let isLinked = false
  await using ingest = await on.startIngest({
    onLink: () => {
      isLinked = true
    },
    onRequest: async (_device, payload) => {
      served.push(Buffer.from(payload).toString())
      await new Promise<void>(resolve => gates.push(resolve))
    },
  })
  await until(() => isLinked)
  const ask = (text: string) => ingest.value.take(topicOf('P-1', 'req'), Buffer.from(text))
  for (const text of ['1', '2', '3', '4', 'one too many']) await ask(text)
  await until(() => gates.length === 1)
  t.same(served, ['1'], 'one after the other')
  for (let open = 0; open < 4; open++) {
    await until(() => gates.length > open)
    gates[open]?.()
  }
  await until(() => served.length === 4)
  t.same(served, ['1', '2', '3', '4'])
  await ask('5')
  await until(() => served.length === 5)
  gates.at(-1)?.()
})
