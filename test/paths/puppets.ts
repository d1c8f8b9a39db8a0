/** The processes of one stage, as their gates (test/fixtures/path-gate.mjs) tell of them and obey. */
import { createServer, type Server, type Socket } from 'node:net'
import type { StateValue } from 'xstate'

export interface Told {
  readonly value: StateValue
  readonly status: string
  readonly context: Readonly<Record<string, unknown>>
}

export class Puppet {
  readonly machines = new Map<string, Told>()
  readonly #held: string[] = []
  readonly #jobs = new Set<string>()
  readonly #results = new Set<string>()
  readonly #answers = new Map<number, (error: string | null) => void>()
  #asked = 0
  ended = false

  constructor(
    readonly pid: number,
    readonly socket: Socket,
    readonly changed: () => void,
    readonly patienceMs: number,
  ) {}

  hear(line: Readonly<Record<string, unknown>>): void {
    const { machine } = line
    if ('held' in line) this.#held.push(heldAs(String(machine), String(line.held), line.pid as number | undefined))
    else if ('job' in line) this.#jobs.add(`${machine}.${line.job}`)
    else if ('result' in line) this.#results.add(`${machine}.${line.result}`)
    else if ('began' in line) {
      // A machine of the same name that ran before has ended: nothing of it is waited for.
      const name = String(line.began)
      for (const key of [...this.#jobs]) if (key.startsWith(`${name}.`)) this.#jobs.delete(key)
      this.#keepHeld((text) => !text.startsWith(`${name} `))
    } else if ('state' in line) this.machines.set(String(line.state), line as unknown as Told)
    else if ('answer' in line) {
      const n = Number(line.answer)
      this.#answers.get(n)?.((line.error as string | undefined) ?? null)
      this.#answers.delete(n)
    }
    this.changed()
  }

  holds = (machine: string, type: string, pid?: number): boolean => this.#held.includes(heldAs(machine, type, pid))
  hasJob = (machine: string, job: string): boolean => this.#jobs.has(`${machine}.${job}`)
  hasResult = (machine: string, job: string): boolean => this.#results.has(`${machine}.${job}`)

  end(): void {
    this.ended = true
    for (const answer of this.#answers.values()) answer(null)
    this.#answers.clear()
    this.changed()
  }

  /** Resolves when it was done, or when the process has ended over it. */
  async ask(what: string, how: Readonly<Record<string, unknown>> = {}): Promise<void> {
    const n = ++this.#asked
    if (what === 'release') {
      const at = this.#held.indexOf(heldAs(String(how.machine), String(how.type), how.pid as number | undefined))
      if (at !== -1) this.#held.splice(at, 1)
    } else if (what === 'run') {
      this.#jobs.delete(`${how.machine}.${how.job}`)
      this.#results.delete(`${how.machine}.${how.job}`)
    } else if (what === 'discard') {
      this.#keepHeld((text) => !text.startsWith(`${how.machine} ${how.prefix}`) || / \S+\.exited/.test(text))
    }
    if (this.ended) return
    const answered = new Promise<string | null>((resolve) => this.#answers.set(n, resolve))
    this.socket.write(`${JSON.stringify({ n, do: what, ...how })}\n`)
    const error = await limited(
      this.patienceMs,
      answered,
      () => `${this.pid} does not answer to ${what} ${JSON.stringify(how)}`,
    )
    if (error !== null) throw new Error(error)
  }

  /** For what ends this process's turn for good: a hook that blocks it. */
  order(what: string, how: Readonly<Record<string, unknown>>): void {
    this.socket.write(`${JSON.stringify({ n: 0, do: what, ...how })}\n`)
  }

  #keepHeld(isKept: (text: string) => boolean): void {
    this.#held.splice(0, this.#held.length, ...this.#held.filter(isKept))
  }

  told(): string {
    const machines = [...this.machines].map(([name, { value }]) => `${name} ${JSON.stringify(value)}`)
    return `${this.pid}: ${machines}; held ${this.#held}; jobs ${[...this.#jobs]}`
  }
}

/** The end of a process is told with its pid, everything else is told apart by its type alone. */
const heldAs = (machine: string, type: string, pid: number | undefined): string =>
  `${machine} ${type}${type === 'primitive.exited' ? ` ${pid}` : ''}`

export class Puppets {
  readonly all: Puppet[] = []
  readonly #server: Server
  readonly #looking = new Set<() => void>()

  private constructor(
    server: Server,
    /** Longest anything that was asked for, or must follow, may take, ms: past it the run is not as the path says. */
    readonly patienceMs: number,
  ) {
    this.#server = server
  }

  static async on(path: string, patienceMs: number): Promise<Puppets> {
    const server = createServer((socket) => puppets.#greet(socket))
    const puppets = new Puppets(server, patienceMs)
    await new Promise<void>((resolve) => server.listen(path, resolve))
    return puppets
  }

  /** Resolves once it is so. Rejects when it is not so for too long. */
  until<T>(look: () => T | null | undefined | false, what: () => string): Promise<T> {
    const found = new Promise<T>((resolve, reject) => {
      const again = () => {
        try {
          const value = look()
          if (value === null || value === undefined || value === false) return
          resolve(value)
        } catch (error) {
          // In the midst of a socket's event nobody would be there to catch it.
          reject(error)
        }
        this.#looking.delete(again)
      }
      this.#looking.add(again)
      again()
    })
    return limited(this.patienceMs, found, () => `${what()}\n${this.all.map((one) => `  ${one.told()}`).join('\n')}`)
  }

  async close(): Promise<void> {
    for (const { socket } of this.all) socket.destroy()
    await new Promise((resolve) => this.#server.close(resolve))
  }

  #greet(socket: Socket): void {
    let text = ''
    let puppet: Puppet | null = null
    socket.setEncoding('utf8')
    socket.on('data', (chunk: string) => {
      text += chunk
      const lines = text.split('\n')
      text = lines.pop() ?? ''
      for (const line of lines.map((one) => JSON.parse(one))) {
        if ('hello' in line) {
          puppet = new Puppet(line.hello, socket, () => this.#look(), this.patienceMs)
          this.all.push(puppet)
          this.#look()
        } else puppet?.hear(line)
      }
    })
    socket.on('error', () => {})
    socket.on('close', () => puppet?.end())
  }

  #look(): void {
    for (const again of [...this.#looking]) again()
  }
}

/** A run that does not go on is not as the path says; how fast it goes is nobody's concern. */
async function limited<T>(ms: number, work: Promise<T>, what: () => string): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(what())), ms)
  })
  try {
    return await Promise.race([work, late])
  } finally {
    clearTimeout(timer)
  }
}
