/** The stick as a real file system: an image on a loop device, mounted, and gone in the middle of a copy. */
import { execFileSync } from 'node:child_process'
import { copyFile, mkdir, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { startCore } from '../../firmware/core/core.ts'
import { alone, fakeController } from '../fakes/core-controller.ts'
import { deskPrinter, desktopPorts, program, seal, untilEvent } from '../fakes/core-printer.ts'

const IMAGE_BYTES = 48 * 1_048_576

function canMount(): boolean {
  if (process.getuid?.() !== 0) return false
  try {
    execFileSync('losetup', ['--find'], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

interface Image extends AsyncDisposable {
  readonly mount: string
  readonly file: string
}

async function mountImage(
  directory: string,
  fill: (mount: string) => Promise<void>,
): Promise<Image> {
  const [file, mount] = [join(directory, 'stick.img'), join(directory, 'mount')]
  await mkdir(mount)
  await writeFile(file, '')
  await truncate(file, IMAGE_BYTES)
  execFileSync('mkfs.ext4', ['-q', '-O', '^has_journal', file])
  execFileSync('mount', ['-o', 'loop', file, mount])
  await fill(mount)
  execFileSync('umount', [mount])
  execFileSync('mount', ['-o', 'loop,ro,nosuid,nodev,noexec', file, mount])
  return {
    mount,
    file,
    [Symbol.asyncDispose]: async () => void execFileSync('umount', ['-l', mount]),
  }
}

if (!canMount())
  process.stderr.write(
    'no right to mount a loop device: the stick stays a directory in the other tests\n',
  )
else {
  t.test('takes a sealed file from a read-only loop-mounted stick', async t => {
    await using printer = await deskPrinter()
    const sealed = await seal(printer, program(500))
    await using image = await mountImage(printer.directory, mount =>
      writeFile(join(mount, 'part.mpf'), sealed),
    )
    const config = {
      ...printer.config,
      usb: { ...printer.config.usb, mountDirectories: [image.mount] },
    }
    const ending = new AbortController()
    await using core = await startCore(
      config,
      desktopPorts(() => alone(fakeController())),
      ending.signal,
    )
    const event = await untilEvent(
      core.journal,
      ({ type }) => type === 'job.admitted' || type === 'admission.refused',
    )
    t.equal(event.type, 'job.admitted')
  })

  t.test(
    'a stick that stops answering in the middle of a copy leaves no job and says so',
    async t => {
      await using printer = await deskPrinter()
      await using image = await mountImage(printer.directory, async mount => {
        const big = join(printer.directory, 'big.mpf')
        await writeFile(big, Buffer.alloc(12 * 1_048_576, 1))
        await copyFile(big, join(mount, 'part.mpf'))
      })
      // The device is there, its sectors are not: what a stick pulled while it is read looks like.
      await truncate(image.file, 6 * 1_048_576)
      const config = {
        ...printer.config,
        usb: { ...printer.config.usb, mountDirectories: [image.mount] },
      }
      const ending = new AbortController()
      await using core = await startCore(
        config,
        desktopPorts(() => alone(fakeController())),
        ending.signal,
      )
      const event = await untilEvent(
        core.journal,
        ({ type }) => type.startsWith('intake.') || type === 'job.received',
      )
      t.equal(event.type, 'intake.interrupted')
      t.equal(core.journal.jobs().length, 0)
      t.equal(core.spool.usedBytes, 0, 'nothing is left of it in the spool')
    },
  )
}
