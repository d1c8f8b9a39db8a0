/**
 * Where each key of a TOML text stands. The parser tells values but not lines, and an error without a line makes a
 * person search. Only ever given text the parser accepted, so this scanner skips and never judges.
 */

/** Path of a key (`listeners.1.addr`) → its line, counted from 1. */
export type TomlLines = ReadonlyMap<string, number>

export function tomlLines(text: string): TomlLines {
  const scanner = new Scanner(text)
  scanner.document()
  return scanner.lines
}

class Scanner {
  readonly lines = new Map<string, number>()
  readonly #elements = new Map<string, number>()
  #at = 0

  constructor(readonly text: string) {}

  document(): void {
    let table = ''
    for (this.#skipBlank(); this.#at < this.text.length; this.#skipBlank()) {
      if (this.#peek('[[')) table = this.#header('[[', ']]')
      else if (this.#peek('[')) table = this.#header('[', ']')
      else this.#pair(table)
    }
  }

  #header(open: string, close: string): string {
    this.#at += open.length
    const line = this.#line()
    let path = ''
    const parts = this.#key()
    for (const [index, part] of parts.entries()) {
      path = join(path, part)
      const isNewElement = open === '[[' && index === parts.length - 1
      const count = this.#elements.get(path) ?? 0
      if (isNewElement) {
        this.#note(path, line)
        this.#elements.set(path, count + 1)
        path = join(path, String(count))
      } else if (count > 0) path = join(path, String(count - 1))
    }
    this.#note(path, line)
    this.#at += close.length
    return path
  }

  #pair(table: string): void {
    const line = this.#line()
    const path = this.#key().reduce((prefix, part) => {
      const longer = join(prefix, part)
      this.#note(longer, line)
      return longer
    }, table)
    this.#at += 1 // '='
    this.#value(path)
  }

  #value(path: string): void {
    this.#skipBlank()
    const first = this.text[this.#at]
    if (first === '"' || first === "'") this.#string()
    else if (first === '[') this.#sequence(']', (index) => this.#element(join(path, String(index))))
    else if (first === '{') this.#sequence('}', () => this.#pair(path))
    else while (this.#at < this.text.length && !/[\s,\]}#]/.test(this.text.charAt(this.#at))) this.#at += 1
  }

  #element(path: string): void {
    this.#note(path, this.#line())
    this.#value(path)
  }

  #sequence(close: string, item: (index: number) => void): void {
    this.#at += 1
    for (let index = 0; ; index += 1) {
      this.#skipBlank()
      if (this.#at >= this.text.length) return
      if (this.#peek(close)) break
      item(index)
      this.#skipBlank()
      if (this.#peek(',')) this.#at += 1
    }
    this.#at += 1
  }

  #key(): string[] {
    const parts: string[] = []
    for (;;) {
      this.#skipBlank()
      const first = this.text[this.#at]
      if (first === '"' || first === "'") parts.push(this.#string())
      else {
        const bare = /^[A-Za-z0-9_-]*/.exec(this.text.slice(this.#at))?.[0] ?? ''
        this.#at += bare.length
        parts.push(bare)
      }
      this.#skipBlank()
      if (!this.#peek('.')) return parts
      this.#at += 1
    }
  }

  /** @returns the raw text between the quotes. */
  #string(): string {
    const quote = this.text.charAt(this.#at)
    const fence = this.#peek(quote.repeat(3)) ? quote.repeat(3) : quote
    const from = this.#at + fence.length
    let end = from
    while (end < this.text.length && !this.text.startsWith(fence, end)) {
      end += quote === '"' && this.text[end] === '\\' ? 2 : 1
    }
    // A multi-line string may end in up to two quotes of its own before the closing three.
    while (fence.length === 3 && this.text[end + 3] === quote) end += 1
    this.#at = end + fence.length
    return this.text.slice(from, end)
  }

  #skipBlank(): void {
    const blank = /(?:\s|#[^\n]*)*/y
    blank.lastIndex = this.#at
    this.#at += blank.exec(this.text)?.[0].length ?? 0
  }

  #peek(text: string): boolean {
    return this.text.startsWith(text, this.#at)
  }

  #note(path: string, line: number): void {
    if (!this.lines.has(path)) this.lines.set(path, line)
  }

  #line(): number {
    let line = 1
    for (let i = this.text.indexOf('\n'); i !== -1 && i < this.#at; i = this.text.indexOf('\n', i + 1)) line += 1
    return line
  }
}

const join = (path: string, part: string) => (path === '' ? part : `${path}.${part}`)
