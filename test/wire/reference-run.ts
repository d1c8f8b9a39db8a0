/** A reference incumbent on a real listener, and reference supervisors run against it. */
import { type ChildProcess, type StdioOptions, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { request } from 'node:http'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Hello, Message } from '../../machines/handoff/protocol.js'
import { native } from '../../src/os/native.js'
import { type DecodedMessage, encodeMessage, HandoffDecoder } from '../../src/wire/handoff.js'
import { REFERENCE_PEER_FAULT, referencePeer } from '../fixtures/reference-peer.js'

export interface Outcome {
  readonly handoff_id: string
  readonly committed: boolean
  readonly abort_reason: string | null
  readonly incumbent_pid: number
  readonly successor_pid: number
  readonly sealed_revisions?: readonly string[]
  readonly ready_revisions?: readonly string[]
  readonly listening_on?: readonly string[]
}
export interface Answer {
  readonly pid: number
  readonly revision: number
}
type Line = { readonly [key: string]: unknown }

/** A child whose JSON lines, on stdout or stderr, can be awaited by what they say. */
export class Program {
  readonly #lines: Line[] = []
  readonly #raw: string[] = []
  readonly #listeners = new Set<() => void>()
  readonly exit: Promise<number | NodeJS.Signals>
  /** Its output is closed: it is gone, and so is every child that writes to the same pipes. */
  readonly closed: Promise<unknown>

  constructor(readonly child: ChildProcess) {
    for (const input of [child.stdout, child.stderr]) {
      if (input) createInterface({ input }).on('line', (line) => this.#take(line))
    }
    this.exit = once(child, 'exit').then(([code, signal]) => code ?? signal)
    this.closed = once(child, 'close').then(() => this.#take('its output is closed'))
  }

  /** The first line that has all of `wanted`, from the past or the future. */
  line<T>(wanted: Line): Promise<T> {
    return new Promise((resolve, reject) => {
      const look = () => {
        const found = this.#lines.find((line) => Object.entries(wanted).every(([key, value]) => line[key] === value))
        if (found === undefined && this.#raw.at(-1) !== 'its output is closed') return
        this.#listeners.delete(look)
        if (found !== undefined) resolve(found as T)
        else reject(new Error(`no line with ${JSON.stringify(wanted)}; it said:\n${this.#raw.join('\n')}`))
      }
      this.#listeners.add(look)
      look()
    })
  }

  /** Ends it, a supervisor together with its successor. */
  async end(): Promise<void> {
    this.child.kill('SIGTERM')
    await this.exit
  }

  #take(line: string): void {
    this.#raw.push(line)
    if (line.startsWith('{')) this.#lines.push(JSON.parse(line) as Line)
    for (const look of this.#listeners) look()
  }
}

export class ReferenceRun implements AsyncDisposable {
  readonly dir = mkdtempSync(join(tmpdir(), 'reference-'))
  readonly controlSocket = join(this.dir, 'control.sock')
  readonly journal = join(this.dir, 'journal')
  readonly #dataDir = join(this.dir, 'data')
  readonly #listenerFd: number
  readonly #port: number
  readonly #programs: Program[] = []
  #records = 0

  constructor() {
    mkdirSync(this.#dataDir)
    const { AF_INET, SOCK_STREAM } = native.constants
    this.#listenerFd = native.socket(AF_INET, SOCK_STREAM)
    native.bindInet(this.#listenerFd, '127.0.0.1', 0)
    // Listening without ever accepting, as a supervisor must (wire spec, "Channel").
    native.listen(this.#listenerFd, 4096)
    const name = native.getsockname(this.#listenerFd)
    if (!('port' in name) || typeof name.port !== 'number') throw new Error('a TCP listener has a port')
    this.#port = name.port
  }

  async startIncumbent(fault = ''): Promise<Program> {
    const env = { LISTEN_FDS: '1', LISTEN_FDNAMES: 'http' }
    const incumbent = this.#spawn(referencePeer.daemon, this.#primitiveArgs(), env, fault)
    await incumbent.line({ event: 'serving' })
    return incumbent
  }

  /** @returns the program, and where it keeps what passed on both channels */
  startSupervisor(fault = '', more: readonly string[] = []): { supervisor: Program; record: string } {
    this.#records += 1
    const record = join(this.dir, `record-${this.#records}`)
    mkdirSync(record)
    const args = ['--control-socket', this.controlSocket, '--listener-fd', '3', '--listener-names', 'http']
    args.push('--record', record, '--wait', ...more, '--binary', referencePeer.daemon, ...this.#primitiveArgs())
    return { supervisor: this.#spawn(referencePeer.supervisor, args, {}, fault), record }
  }

  /** One request on a connection of its own. */
  async ask(method: 'GET' | 'POST'): Promise<Answer> {
    const asked = request({ host: '127.0.0.1', port: this.#port, method, agent: false }).end()
    const [response] = await once(asked, 'response')
    const chunks: Buffer[] = []
    for await (const chunk of response) chunks.push(chunk)
    return JSON.parse(Buffer.concat(chunks).toString()) as Answer
  }

  /** Writes without a pause until stopped; @returns how many were acknowledged. Any error rejects. */
  writing(): { stop(): Promise<number> } {
    let going = true
    const done = (async () => {
      let acknowledged = 0
      for (; going; acknowledged += 1) await this.ask('POST')
      return acknowledged
    })()
    return {
      stop: () => {
        going = false
        return done
      },
    }
  }

  /** Who answers on the control path. */
  async helloOnControlPath(): Promise<Hello> {
    const socket = connect(this.controlSocket)
    try {
      const decoder = new HandoffDecoder()
      for await (const chunk of socket) {
        for (const { message } of decoder.push(chunk)) if (message.type === 'Hello') return message
      }
      throw new Error('the control socket closed without a Hello')
    } finally {
      socket.destroy()
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const program of this.#programs) await program.end()
    native.close(this.#listenerFd)
    rmSync(this.dir, { recursive: true })
  }

  #primitiveArgs(): string[] {
    return ['--control-socket', this.controlSocket, '--data-dir', this.#dataDir]
  }

  #spawn(file: string, args: readonly string[], env: Record<string, string>, fault: string): Program {
    const stdio: StdioOptions = ['ignore', 'pipe', 'pipe', this.#listenerFd]
    const child = spawn(file, args, { stdio, env: { ...process.env, ...env, [REFERENCE_PEER_FAULT]: fault } })
    const program = new Program(child)
    this.#programs.push(program)
    return program
  }
}

/** What passed on one direction of a recorded channel, through `src/wire`, checked to be the same bytes when encoded again. */
export function decodeRecord(record: string, direction: string): Message[] {
  const bytes = readFileSync(join(record, direction))
  const decoder = new HandoffDecoder()
  const decoded: DecodedMessage[] = [...decoder.push(bytes)]
  decoder.end()
  const again = decoded.map(({ message, version }) => encodeMessage(message, { protoVersion: version }))
  if (!Buffer.concat(again).equals(bytes)) throw new Error(`${direction} does not encode to the recorded bytes`)
  return decoded.map(({ message }) => message)
}
