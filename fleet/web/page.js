// The page of `fleet web`: a list that changes only where something changed, and one printer in detail. Text is set as text, never as markup.
const SVG = 'http://www.w3.org/2000/svg'
const $ = id => document.getElementById(id)
const rows = new Map()
let selected

function rowOf(device) {
  const known = rows.get(device)
  if (known) return known
  const row = document.createElement('tr')
  for (let i = 0; i < 6; i++) row.append(document.createElement('td'))
  row.addEventListener('click', () => select(device))
  $('list').append(row)
  rows.set(device, row)
  return row
}

function showList(printers) {
  for (const { device, status, percent, events, proven, alerts } of printers) {
    const row = rowOf(device)
    row.className = status === 'away' ? 'away' : ''
    const texts = [device, status, `${percent} %`, events, proven, alerts]
    for (const [i, text] of texts.entries()) row.children[i].textContent = String(text)
  }
  $('summary').textContent = `${rows.size} printers`
}

/** Lines over time, each a list of [ms, value]; drawn to the same scale. */
function plot(svg, lines) {
  const points = lines.flat()
  const [from, to] = [Math.min(...points.map(([at]) => at)), Math.max(...points.map(([at]) => at))]
  const top = Math.max(1, ...points.map(([, value]) => value))
  const place = ([at, value]) =>
    `${(((at - from) / Math.max(1, to - from)) * 600).toFixed(1)},${(155 - (value / top) * 150).toFixed(1)}`
  svg.replaceChildren(
    ...lines.map((line, i) => {
      const drawn = document.createElementNS(SVG, 'polyline')
      drawn.setAttribute('points', line.map(place).join(' '))
      drawn.setAttribute('class', `line${i}`)
      return drawn
    }),
  )
}

/** Alerts as a list; text is set as text. */
function showAlerts(list, alerts) {
  list.replaceChildren(
    ...alerts.map(({ atMs, code, message }) => {
      const item = document.createElement('li')
      item.textContent = `${new Date(atMs).toLocaleString()}: ${code}: ${message}`
      return item
    }),
  )
}

function showDetail({ device, samples, events, alerts, contiguous, proven, cosigned, missing }) {
  $('detail').hidden = false
  $('detail').querySelector('h2').textContent = device
  const head = cosigned ? 'under a head signed by the printer and cosigned' : 'no signed head yet'
  const gap = missing ? ` Missing: ${missing[0]} to ${missing[1]}.` : ''
  $('proof').textContent = `${contiguous} events without a gap, ${proven} proven: ${head}.${gap}`
  showAlerts($('warnings'), alerts)
  const line = name =>
    samples.flatMap(([at, values]) => (name in values ? [[at, values[name]]] : []))
  plot($('temperatures'), [line('hw.temperature.hotend0'), line('hw.temperature.bed')])
  plot($('progress'), [line('mpf.job.percent')])
  $('events').replaceChildren(
    ...events.map(({ seq, type, message }) => {
      const item = document.createElement('li')
      item.value = seq
      item.textContent = `${type}: ${message}`
      return item
    }),
  )
}

async function select(device) {
  selected = device
  const answer = await fetch(`/api/printers/${encodeURIComponent(device)}`)
  if (answer.ok && selected === device) showDetail(await answer.json())
}

async function start() {
  const { ok } = await fetch('/api/session')
  $('login').hidden = ok
  document.querySelector('main').hidden = !ok
  if (!ok) return
  const stream = new EventSource('/api/stream')
  stream.addEventListener('printers', ({ data }) => {
    showList(JSON.parse(data))
    if (selected !== undefined) void select(selected)
  })
  stream.addEventListener('alerts', ({ data }) => showAlerts($('alerts'), JSON.parse(data)))
}

await start()
