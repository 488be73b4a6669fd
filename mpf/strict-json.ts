/** JSON as signed objects carry it: no duplicate members, bounded depth and strings, integers only, no surprises. */

import { MAX_JSON_DEPTH, MAX_JSON_STRING } from './limits.ts'

export type Json = null | boolean | number | string | readonly Json[] | JsonObject
export type JsonObject = { readonly [name: string]: Json }

/** Why a text is not strict JSON; `at` is the offset in UTF-16 units. */
export class StrictJsonError extends Error {
  override readonly name = 'StrictJsonError'
  readonly at: number

  constructor(message: string, at: number) {
    super(`${message} at ${at}`)
    this.at = at
  }
}

const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/**
 * Parses UTF-8 JSON. Objects have no prototype; a member named `__proto__` is refused, since schemas pass over it in silence.
 * @throws StrictJsonError for anything but one value of RFC 8259 with: unique member names, depth <= 6, strings <= 4096
 *   units and without lone surrogates, numbers that are integers below 2^53 without sign tricks (`-0`), fraction or exponent.
 */
export function parseStrictJson(bytes: Uint8Array): Json {
  let text: string
  try {
    text = UTF8.decode(bytes)
  } catch (cause) {
    throw new StrictJsonError(`not UTF-8: ${(cause as Error).message}`, 0)
  }
  const parser = new Parser(text)
  const value = parser.value(0)
  parser.end()
  return value
}

const NUMBER = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y
/** Raw control characters are left to JSON.parse, which refuses them. */
const STRING = /"(?:[^"\\]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y
const SPACE = /[ \t\n\r]*/y
const LITERALS = [
  ['true', true],
  ['false', false],
  ['null', null],
] as const

class Parser {
  readonly #text: string
  #at = 0

  constructor(text: string) {
    this.#text = text
  }

  value(depth: number): Json {
    if (depth > MAX_JSON_DEPTH) throw this.#error(`deeper than ${MAX_JSON_DEPTH}`)
    this.#space()
    const first = this.#text[this.#at]
    if (first === '{') return this.#object(depth)
    if (first === '[') return this.#array(depth)
    if (first === '"') return this.#string()
    for (const [word, value] of LITERALS) {
      if (this.#text.startsWith(word, this.#at)) {
        this.#at += word.length
        return value
      }
    }
    return this.#integer()
  }

  end(): void {
    this.#space()
    if (this.#at !== this.#text.length) throw this.#error('text after the value')
  }

  #object(depth: number): JsonObject {
    const object: Record<string, Json> = Object.create(null)
    this.#at++
    this.#space()
    if (this.#take('}')) return object
    do {
      this.#space()
      const name = this.#string()
      if (name === '__proto__' || Object.hasOwn(object, name))
        throw this.#error('duplicate member or __proto__')
      this.#space()
      if (!this.#take(':')) throw this.#error('expected a colon')
      object[name] = this.value(depth + 1)
      this.#space()
    } while (this.#take(','))
    if (!this.#take('}')) throw this.#error('expected a comma or a closing brace')
    return object
  }

  #array(depth: number): Json[] {
    const array: Json[] = []
    this.#at++
    this.#space()
    if (this.#take(']')) return array
    do {
      array.push(this.value(depth + 1))
      this.#space()
    } while (this.#take(','))
    if (!this.#take(']')) throw this.#error('expected a comma or a closing bracket')
    return array
  }

  #string(): string {
    const token = this.#match(STRING)
    if (token === undefined) throw this.#error('expected a string')
    const value = this.#unescape(token)
    if (value.length > MAX_JSON_STRING || !value.isWellFormed())
      throw this.#error('string too long or not well-formed')
    return value
  }

  #unescape(token: string): string {
    try {
      return String(JSON.parse(token))
    } catch {
      throw this.#error('control character in a string')
    }
  }

  #integer(): number {
    const token = this.#match(NUMBER)
    if (token === undefined) throw this.#error('expected a value')
    const value = Number(token)
    if (!Number.isSafeInteger(value) || String(value) !== token)
      throw this.#error('number is not a plain integer below 2^53')
    return value
  }

  #match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at
    const token = pattern.exec(this.#text)?.[0]
    if (token !== undefined) this.#at += token.length
    return token
  }

  #space(): void {
    this.#match(SPACE)
  }

  #take(character: string): boolean {
    if (this.#text[this.#at] !== character) return false
    this.#at++
    return true
  }

  #error(message: string): StrictJsonError {
    return new StrictJsonError(message, this.#at)
  }
}
