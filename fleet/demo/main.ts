/** `npm run demo [-- FILE] [-- --image] [-- --json]`: a part by USB stick, then a part over MQTT; every claim is checked, and one that fails is the exit code. */

import { access, mkdir, mkdtemp, rm } from 'node:fs/promises'
import { constants, tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { printOverMqtt } from './cloud-print.ts'
import { Tools } from './processes.ts'
import { Report } from './report.ts'
import { printFromStick } from './usb-print.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const SAMPLE = join(ROOT, 'test/samples/clip.gcode')
const TAG = resolve(ROOT, '../shared/gcode/tag.gcode')

const { values, positionals } = parseArgs({
  options: {
    image: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
  },
  allowPositionals: true,
})
const ending = new AbortController()
for (const name of ['SIGINT', 'SIGTERM'] as const)
  process.once(name, () => {
    ending.abort(new Error(`stopped by ${name}`))
    process.exitCode = 128 + constants.signals[name]
  })
const status = await demo(positionals[0], values)
process.exitCode ??= status

async function demo(
  file: string | undefined,
  { image, json }: { readonly image: boolean; readonly json: boolean },
): Promise<number> {
  const report = new Report(json)
  const tools = new Tools(report, ending.signal)
  const directory = await mkdtemp(join(tmpdir(), 'mpfd-demo-'))
  await using stack = new AsyncDisposableStack()
  stack.defer(() => rm(directory, { recursive: true, force: true }))
  const given = file === undefined ? undefined : resolve(file)
  let fault: string | null = null
  try {
    for (const name of ['usb', 'cloud']) await mkdir(join(directory, name))
    await printFromStick(tools, join(directory, 'usb'), { gcode: given ?? SAMPLE, isImage: image })
    await printOverMqtt(tools, join(directory, 'cloud'), given ?? (await tagOrSample()))
  } catch (error) {
    const cause: unknown = ending.signal.aborted ? ending.signal.reason : error
    fault = cause instanceof Error ? cause.message : 'unknown'
  }
  return conclude(report, fault, json)
}

function conclude(report: Report, fault: string | null, isJson: boolean): number {
  const { claims } = report
  const isProven = fault === null && report.isProven
  const held = claims.filter(claim => claim.isProven).length
  if (fault !== null) report.say(`\nended by a fault: ${fault}`)
  report.say(`\n${isProven ? 'proven' : 'NOT PROVEN'}: ${held} of ${claims.length} claims hold`)
  if (isJson) process.stdout.write(`${JSON.stringify({ isProven, fault, claims })}\n`)
  return isProven ? 0 : 1
}

async function tagOrSample(): Promise<string> {
  return access(TAG).then(
    () => TAG,
    () => SAMPLE,
  )
}
