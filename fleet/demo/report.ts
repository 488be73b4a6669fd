/** What the demo shows and claims: steps and lines for people, claims each with what was found, and the verdict over all. */

export interface Claim {
  readonly claim: string
  readonly isProven: boolean
  readonly found: string
}

export class Report {
  readonly claims: Claim[] = []
  /** Where programs that show themselves write to. */
  readonly fd: 1 | 2
  readonly #out: NodeJS.WriteStream
  readonly #startedMs = performance.now()

  /** With `isJson` what people read goes to standard error, and standard output gets one object at the end. */
  constructor(isJson: boolean) {
    this.fd = isJson ? 2 : 1
    this.#out = isJson ? process.stderr : process.stdout
  }

  /** Whether the lines can have colours. */
  get isTerminal(): boolean {
    return this.#out.isTTY === true && process.env.NO_COLOR === undefined
  }

  say(line: string): void {
    this.#out.write(`${line}\n`)
  }

  part(title: string): void {
    this.say(
      this.#styled(
        '1;36',
        `\n${'━'.repeat(4)} ${title} ${'━'.repeat(Math.max(4, 72 - title.length))}`,
      ),
    )
  }

  step(title: string): void {
    const seconds = ((performance.now() - this.#startedMs) / 1000).toFixed(0).padStart(3)
    this.say(this.#styled('1', `\n== ${title}`) + this.#styled('2', `  (${seconds} s)`))
  }

  command(line: string): void {
    this.say(this.#styled('2', `$ ${line}`))
  }

  /** States what was checked, and whether it held. */
  claim(claim: string, isProven: boolean, found: string): void {
    this.claims.push({ claim, isProven, found })
    const mark = isProven ? this.#styled('32', '✓') : this.#styled('31', '✗ NOT PROVEN:')
    this.say(`${mark} ${claim}: ${found}`)
  }

  /** True when there were claims and all of them hold. */
  get isProven(): boolean {
    return this.claims.length > 0 && this.claims.every(({ isProven }) => isProven)
  }

  #styled(code: string, text: string): string {
    return this.isTerminal ? `\x1b[${code}m${text}\x1b[0m` : text
  }
}
