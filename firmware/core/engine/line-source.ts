/** The program as the controller pulls it: one verified block in hand, one being opened, none kept. */

import type { LineSource, ProgramLine } from '#drivers'
import type { ProgramCommand } from '#mpf'
import type { CheckedBlock, CommandSource } from '../admission/opened-print.ts'

type Pending = Promise<IteratorResult<CheckedBlock, unknown>>

export class CheckedLineSource implements LineSource, AsyncDisposable {
  readonly #blocks: AsyncIterator<CheckedBlock>
  readonly #onLine: (command: ProgramCommand) => void
  readonly #beforeLayer: () => Promise<void>
  #layer: number | undefined
  #block: CheckedBlock | undefined
  #commands: CommandSource | undefined
  #pending: Pending | undefined
  /** Found while passing over lines, not handed out yet. */
  #held: ProgramCommand | undefined
  #releasedBlocks = 0

  /** `onLine` is told of each line as it leaves; `beforeLayer` is awaited before the first of each layer but the first does. */
  constructor(
    blocks: AsyncIterator<CheckedBlock>,
    onLine: (command: ProgramCommand) => void,
    beforeLayer: () => Promise<void> = async () => undefined,
  ) {
    this.#blocks = blocks
    this.#onLine = onLine
    this.#beforeLayer = beforeLayer
  }

  /** Blocks handed over whole. */
  get releasedBlocks(): number {
    return this.#releasedBlocks
  }

  next(): ProgramLine | undefined | Promise<ProgramLine | undefined> {
    const command = this.#held ?? this.#nextInBlock()
    this.#held = undefined
    if (command) return this.#hand(command)
    return this.#nextBlock().then(found => found && this.#hand(found))
  }

  /** Passes over every command up to `line`, told of like the others but handed to nobody: each is verified and checked again. */
  async skipTo(line: number): Promise<void> {
    for (;;) {
      const command = this.#nextInBlock() ?? (await this.#nextBlock())
      if (!command) return
      if (command.line > line) {
        this.#held = command
        return
      }
      this.#tell(command)
    }
  }

  /** Stops opening blocks and zeroes what is still held. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#dropBlock()
    const pending = this.#pending
    this.#pending = undefined
    const held = await pending?.catch(() => undefined)
    if (held && !held.done) held.value.text.fill(0)
    await this.#blocks.return?.()
  }

  #hand(command: ProgramCommand): ProgramCommand | Promise<ProgramCommand> {
    if (this.#layer === undefined || command.layer === this.#layer) return this.#tell(command)
    return this.#beforeLayer().then(() => this.#tell(command))
  }

  #tell(command: ProgramCommand): ProgramCommand {
    this.#layer = command.layer
    this.#onLine(command)
    return command
  }

  #nextInBlock(): ProgramCommand | undefined {
    if (this.#commands === undefined) return undefined
    const command = this.#commands.next()
    if (command === undefined) {
      this.#releasedBlocks += 1
      this.#dropBlock()
    }
    return command
  }

  /** A block may hold comments alone: the loop goes on until there is a command or the end. */
  async #nextBlock(): Promise<ProgramCommand | undefined> {
    for (;;) {
      const result = await (this.#pending ?? this.#open())
      this.#pending = undefined
      if (result.done) return undefined
      this.#block = result.value
      this.#commands = result.value.commands()
      this.#pending = this.#open()
      const line = this.#nextInBlock()
      if (line) return line
    }
  }

  /** Opening the next block while this one is printed; a failure waits until its turn comes. */
  #open(): Pending {
    const pending = this.#blocks.next()
    pending.catch(() => undefined)
    return pending
  }

  #dropBlock(): void {
    this.#block?.text.fill(0)
    this.#block = undefined
    this.#commands = undefined
  }
}
