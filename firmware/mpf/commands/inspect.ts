/** `mpf inspect`: what anyone can see of a sealed file without a key; nothing of it is vouched for. */

import { decodeGrants, readContainer, readSection } from '#mpf'
import { type Command, UsageError } from '../command.ts'
import { openSealed } from '../files.ts'

export const inspect: Command = {
  name: 'inspect',
  summary: 'show the layout and public header of a sealed file (vouches for nothing)',
  usage: 'mpf inspect FILE.mpf',
  help: 'Shows sections, public header, signer and recipients as they stand in the file. Use `mpf verify` to know whether to believe them.',
  options: {},
  async run(context) {
    const [path] = context.operands
    if (path === undefined || context.operands.length !== 1)
      throw new UsageError('expected one file')
    await using source = await openSealed(path)
    const container = await readContainer(source)
    const pub: unknown = JSON.parse(Buffer.from(await readSection(container, 'PUB')).toString())
    const [header = ''] = Buffer.from(await readSection(container, 'MAN'))
      .toString('latin1')
      .split('.')
    const signature: unknown = JSON.parse(Buffer.from(header, 'base64url').toString())
    const recipients = [...decodeGrants(await readSection(container, 'GRT')).keys()]
    const sections = Object.entries(container.sections).map(([name, { offset, length }]) => ({
      name,
      offset,
      length,
    }))
    if (context.isJson) {
      context.print(
        JSON.stringify({
          sizeBytes: source.sizeBytes,
          public: pub,
          signature,
          recipients,
          sections,
        }),
      )
      return 0
    }
    context.print(`${path}: ${source.sizeBytes} bytes (not verified)`)
    context.print(`public     ${JSON.stringify(pub)}`)
    context.print(`signature  ${JSON.stringify(signature)}`)
    for (const { name, offset, length } of sections)
      context.print(`${name}        ${length} bytes at ${offset}`)
    for (const recipient of recipients) context.print(`grant for  ${recipient}`)
    return 0
  },
}
