/** `npm run bench [-- PART...] [--runs N] [--json]`: the numbers we owe, each beside a peer or a limit in the same run. */

import { execFileSync } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { availableParallelism, cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { buildRelease } from '../bin/release.ts'
import { cloudBench } from './cloud.ts'
import { coreBench } from './core.ts'
import { mpfBench } from './mpf.ts'
import type { BenchPart, Row } from './row.ts'
import { streamingBench } from './streaming.ts'

const PARTS: readonly BenchPart[] = [mpfBench, coreBench, streamingBench, cloudBench]

const { values, positionals } = parseArgs({
  options: { runs: { type: 'string', default: '5' }, json: { type: 'boolean', default: false } },
  allowPositionals: true,
})
const chosen =
  positionals.length === 0 ? PARTS : PARTS.filter(({ name }) => positionals.includes(name))
if (chosen.length === 0) {
  process.stderr.write(
    `bench: no part ${positionals.join(', ')}; parts: ${PARTS.map(({ name }) => name).join(', ')}\n`,
  )
  process.exit(2)
}
const directory = await mkdtemp(join(tmpdir(), 'mpfd-bench-'))
const say = (line: string) => void process.stderr.write(`${line}\n`)
say(machineFacts())
const release = join(directory, 'release')
const context = { runs: Number(values.runs), directory, programs: join(release, 'bin'), say }
try {
  await buildRelease(release)
  for (const part of chosen) for await (const row of part.rows(context)) show(row)
} finally {
  await rm(directory, { recursive: true, force: true })
}

function show(row: Row): void {
  if (values.json) {
    process.stdout.write(`${JSON.stringify(row)}\n`)
    return
  }
  const ratio = row.ratio === undefined ? '' : `${row.ratio.toFixed(2)}x of ${row.peer}`
  const verdict = row.isMet === undefined ? '' : row.isMet ? ' met' : ' NOT MET'
  process.stdout.write(
    `${row.id.padEnd(4)} ${row.what}\n     ${[ratio, row.figure].filter(Boolean).join('; ')} (owed ${row.owed}:${verdict})\n`,
  )
  if (row.note) process.stdout.write(`     ${row.note}\n`)
}

function machineFacts(): string {
  const [cpu] = cpus()
  const load = execFileSync('cat', ['/proc/loadavg']).toString().split(' ')[0]
  return `node ${process.version}, ${cpu?.model ?? 'unknown cpu'}, ${availableParallelism()} cpus, load ${load}, runs ${values.runs}`
}
