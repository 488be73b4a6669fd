/** Whether the wire keeps up: the arithmetic, and the sentences a person reads. */
import { test } from 'tap'
import { type ForecastLink, forecast, type LayerEstimate } from '#mpf'
import { linkLinesPerS } from '../../mpf/gcode/forecast.ts'

const LINK: ForecastLink = { baud: 250_000, framingBytes: 12, windowLines: 4, turnaroundMs: 2 }

function layer(change: Partial<LayerEstimate> = {}): LayerEstimate {
  return {
    layer: 1,
    lines: 1000,
    commands: 1000,
    commandBytes: 30_000,
    timeS: 10,
    peakMovesPerS: 150,
    ...change,
  }
}

test('a windowed link gives what its bytes take, a line at a time also its turnaround', async t => {
  // MOTION.md 4: 42 bytes a line at 250000 baud: 595 lines/s windowed, 1 ms turnaround 373 one at a time.
  t.equal(Math.floor(linkLinesPerS({ ...LINK, turnaroundMs: 1 }, 42)), 595)
  t.equal(Math.floor(linkLinesPerS({ ...LINK, windowLines: 1, turnaroundMs: 1 }, 42)), 373)
  t.equal(
    Math.floor(linkLinesPerS({ ...LINK, baud: 4_000_000 }, 42)),
    2000,
    'the controller is the limit',
  )
})

test('says so when everything flows, and how near it comes', async t => {
  const { verdict, sentences, layers } = forecast([layer({ layer: 0, commands: 0 }), layer()], LINK)
  t.equal(verdict, 'flows')
  t.equal(layers.length, 1, 'nothing to say of a layer without commands')
  t.same(sentences, ['the link gives what every layer needs: at most 26 % of it'])
})

test('names the worst layer, how many more, and what would help', async t => {
  const layers = [
    layer({ layer: 0, commands: 0 }),
    layer({ timeS: 1.5 }),
    layer({ layer: 2, timeS: 1.25 }),
    layer({ layer: 3 }),
  ]
  const { verdict, sentences } = forecast(layers, LINK, [
    { name: 'compaction', ratio: 0.85 },
    { name: 'MeatPack', ratio: 0.5 },
  ])
  t.equal(verdict, 'stutters')
  t.same(sentences, [
    'layer 2 needs 800 lines/s, the link gives 595: will stutter',
    '2 of 3 layers need more than the link gives',
    'compaction would give 700 lines/s',
    'MeatPack would give 1190 lines/s: enough',
    'slowed to 74 % it would flow',
  ])
})

test('tells a dense passage from a dense layer', async t => {
  const { verdict, sentences } = forecast(
    [layer({ layer: 0 }), layer({ peakMovesPerS: 700 })],
    LINK,
  )
  t.equal(verdict, 'tight')
  t.same(
    sentences[0],
    'layer 1 needs 700 lines/s in its densest passage, the link gives 595: may stutter there',
  )
})

test('a handful of commands says nothing', async t => {
  t.equal(
    forecast([layer({ layer: 0, commands: 20, commandBytes: 400, timeS: 0.001 })], LINK).verdict,
    'flows',
  )
})

test('an empty program flows', async t => {
  t.match(forecast([], LINK), {
    verdict: 'flows',
    layers: [],
    sentences: ['the link gives what every layer needs'],
  })
})
