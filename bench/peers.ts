/** Other programs, measured as whole processes: CPU time by the kernel's own account. */

import { execFileSync, spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'

/** Where a tool is installed, or undefined. */
export function toolPath(name: string): string | undefined {
  try {
    return execFileSync('sh', ['-c', `command -v ${name}`])
      .toString()
      .trim()
  } catch {
    return undefined
  }
}

/** CPU seconds (user and system) a command used, children included. @throws Error when it fails */
export async function runCpu(
  command: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<{ readonly cpuS: number }> {
  const before = childrenCpuS()
  const child = spawn(command, args, {
    stdio: ['ignore', 'ignore', 'inherit'],
    env: { ...process.env, ...env },
  })
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject)
    child.once('exit', resolve)
  })
  if (code !== 0) throw new Error(`${command} ${args.join(' ')} exited with ${code}`)
  return { cpuS: childrenCpuS() - before }
}

/** proc(5): cutime and cstime of this process, in clock ticks of 10 ms. */
function childrenCpuS(): number {
  const fields = readFileSync('/proc/self/stat', 'latin1')
    .replace(/^.*\) /, '')
    .split(' ')
  return (Number(fields[13]) + Number(fields[14])) / 100
}
