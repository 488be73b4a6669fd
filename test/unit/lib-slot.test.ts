/** A slot: whoever waits is not forgotten, however often it is emptied meanwhile. */
import { test } from 'tap'
import { Slot } from '#lib/slot.ts'

test('what is there is had at once', async t => {
  const slot = new Slot<string>()
  slot.put('first')
  t.equal(slot.value, 'first')
  t.equal(await slot.when(new AbortController().signal), 'first')
})

test('one who waits gets what comes, though attempts that failed emptied it again and again', async t => {
  const slot = new Slot<string>()
  const waiting = slot.when(new AbortController().signal)
  slot.clear()
  slot.clear()
  slot.put('second')
  t.equal(await waiting, 'second')
})

test('what went away is waited for anew', async t => {
  const slot = new Slot<string>()
  slot.put('first')
  slot.clear()
  t.equal(slot.value, undefined)
  const waiting = slot.when(new AbortController().signal)
  slot.put('second')
  t.equal(await waiting, 'second')
})

test('waiting ends with the signal', async t => {
  const slot = new Slot<string>()
  const end = new AbortController()
  const waiting = slot.when(end.signal)
  end.abort(new Error('enough'))
  await t.rejects(waiting, { message: 'enough' })
  await t.rejects(slot.when(end.signal), { message: 'enough' })
})
