/** The demo's USB stick: a directory, or, with `--image` and the right to mount, an ext4 image on a loop device. */

import { execFileSync } from 'node:child_process'
import { mkdir, truncate, writeFile } from 'node:fs/promises'

const IMAGE_BYTES = 64 * 1_048_576

export interface Stick extends AsyncDisposable {
  readonly path: string
  readonly description: string
}

/** A plain directory at `path`. */
export async function directoryStick(path: string): Promise<Stick> {
  await mkdir(path)
  return { path, description: 'a directory', [Symbol.asyncDispose]: async () => {} }
}

/** An ext4 file system in `image`, mounted at `path` with the options a printer mounts a stick with. @throws Error without the right to mount */
export async function imageStick(path: string, image: string): Promise<Stick> {
  await mkdir(path)
  await writeFile(image, '')
  await truncate(image, IMAGE_BYTES)
  execFileSync('mkfs.ext4', ['-q', '-O', '^has_journal', image])
  execFileSync('mount', ['-o', 'loop,nosuid,nodev,noexec', image, path])
  return {
    path,
    description: `${image} on a loop device`,
    [Symbol.asyncDispose]: async () => void execFileSync('umount', ['-l', path]),
  }
}
