/** Peers that say what they like: one end of a control channel, byte for byte, and a man in the middle of one. */
import { randomUUID } from 'node:crypto'
import { linkSync, lstatSync, renameSync, rmSync } from 'node:fs'
import { connect, createServer, type Server, type Socket } from 'node:net'
import type { Message, MessageType } from '../../machines/handoff/protocol.js'
import { closeFd, streamPair } from '../../src/os/fds.js'
import { type SpawnedProcess, spawnWithFds } from '../../src/os/processes.js'
import { socketFromFd } from '../../src/os/unix-socket.js'
import { encodeMessage, HandoffDecoder } from '../../src/wire/handoff.js'
import { pause } from './harness.js'

export const OTHER_ID = '00000000-0000-4000-8000-00000000beef'

export class RawPeer {
  readonly id = randomUUID()
  /** Everything that was understood so far. */
  readonly received: Message[] = []
  /** Resolves when the other end has closed, or reset, the connection. */
  readonly closed: Promise<void>
  readonly #socket: Socket
  readonly #decoder = new HandoffDecoder()
  readonly #looking = new Set<() => void>()
  #isClosed = false

  constructor(socket: Socket) {
    this.#socket = socket
    socket.on('error', () => {})
    socket.on('data', (chunk) => {
      for (const { message } of this.#decoder.push(chunk)) this.received.push(message)
      for (const look of this.#looking) look()
    })
    this.closed = new Promise((resolve) => {
      socket.once('close', () => {
        this.#isClosed = true
        for (const look of this.#looking) look()
        resolve()
      })
    })
  }

  static async dial(path: string): Promise<RawPeer> {
    const socket = connect(path)
    await new Promise<void>((resolve, reject) => socket.once('connect', resolve).once('error', reject))
    return new RawPeer(socket)
  }

  /** One after the other: more at once than the socket's queue holds would be refused by the kernel itself. */
  static async dialMany(path: string, count: number): Promise<RawPeer[]> {
    const peers: RawPeer[] = []
    while (peers.length < count) {
      try {
        peers.push(await RawPeer.dial(path))
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error
        await pause()
      }
    }
    return peers
  }

  bytes(bytes: Uint8Array): this {
    this.#socket.write(bytes)
    return this
  }

  say(message: Message): this {
    return this.bytes(encodeMessage(message))
  }

  ack(handoffId = this.id, protoVersionChosen = 1): this {
    return this.say({ type: 'HelloAck', protoVersionChosen, handoffId })
  }

  prepare(handoffId = this.id, deadlineMs = 60_000n): this {
    return this.say({ type: 'PrepareHandoff', handoffId, successorPid: 1, deadlineMs, drainGraceMs: 5_000n })
  }

  sealRequest(handoffId = this.id): this {
    return this.say({ type: 'SealRequest', handoffId })
  }

  /** The first of this type, from the past or the future. Rejects when the other end closes without it. */
  heard<T extends MessageType>(type: T): Promise<Extract<Message, { type: T }>> {
    return new Promise((resolve, reject) => {
      const look = () => {
        const found = this.received.find((message) => message.type === type)
        if (found === undefined && !this.#isClosed) return
        this.#looking.delete(look)
        if (found !== undefined) resolve(found as Extract<Message, { type: T }>)
        else reject(new Error(`closed without ${type}; heard ${this.received.map((message) => message.type)}`))
      }
      this.#looking.add(look)
      look()
    })
  }

  types(): MessageType[] {
    return this.received.map(({ type }) => type).filter((type) => type !== 'Heartbeat')
  }

  /** The other end sees EOF. */
  close(): void {
    this.#socket.destroy()
  }

  /** Nothing more comes from here; what the other end says is still read. */
  finish(): this {
    this.#socket.end()
    return this
  }

  /** Takes nothing in any more. */
  deaf(): this {
    this.#socket.pause()
    return this
  }
}

/** A successor of ours under a supervisor that is a test. */
export class DrivenSuccessor extends RawPeer implements AsyncDisposable {
  private constructor(
    socket: Socket,
    readonly process: SpawnedProcess,
  ) {
    super(socket)
  }

  static async start(args: readonly string[], env: NodeJS.ProcessEnv): Promise<DrivenSuccessor> {
    const [ours, theirs] = streamPair()
    try {
      const successorEnv = { ...env, HANDOFF_ROLE: 'successor', HANDOFF_SOCK_FD: '3' }
      const process_ = await spawnWithFds({ file: process.execPath, args, env: successorEnv, fds: [theirs] })
      return new DrivenSuccessor(socketFromFd(ours), process_)
    } finally {
      closeFd(theirs)
    }
  }

  begin(handoffId = this.id): this {
    return this.say({ type: 'Begin', handoffId })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close()
    this.process.kill('SIGKILL')
    await this.process.exited
  }
}

export type Direction = 'fromIncumbent' | 'fromSupervisor'
/** What goes on instead of a message; bytes as they are, `close` ends both sides there. */
export type Tamper = (message: Message, direction: Direction) => readonly (Message | Uint8Array | 'close')[]

/** Stands on the control path in the incumbent's place and passes everything on, as told. */
export class ManInTheMiddle implements AsyncDisposable {
  readonly #server: Server
  readonly #path: string
  readonly #sockets = new Set<Socket>()

  #inode = 0

  private constructor(server: Server, path: string) {
    this.#server = server
    this.#path = path
  }

  static async on(path: string, tamper: Tamper): Promise<ManInTheMiddle> {
    const real = `${path}.real`
    const staging = `${path}.middle`
    const server = createServer((near) => {
      const far = connect(real)
      for (const socket of [near, far]) {
        middle.#sockets.add(socket)
        socket.on('error', () => {})
        socket.on('close', () => {
          near.destroy()
          far.destroy()
        })
      }
      pass(far, near, 'fromIncumbent', tamper)
      pass(near, far, 'fromSupervisor', tamper)
    })
    const middle = new ManInTheMiddle(server, path)
    await new Promise<void>((resolve) => server.listen(staging, resolve))
    // The path never vanishes: the daemon would put it back.
    linkSync(path, real)
    renameSync(staging, path)
    middle.#inode = lstatSync(path).ino
    return middle
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    await new Promise((resolve) => this.#server.close(resolve))
    // Unless the incumbent has taken its path back.
    if (lstatSync(this.#path, { throwIfNoEntry: false })?.ino === this.#inode)
      renameSync(`${this.#path}.real`, this.#path)
    else rmSync(`${this.#path}.real`, { force: true })
  }
}

function pass(from: Socket, to: Socket, direction: Direction, tamper: Tamper): void {
  const decoder = new HandoffDecoder()
  from.on('data', (chunk) => {
    for (const { message } of decoder.push(chunk)) {
      for (const instead of tamper(message, direction)) {
        if (instead === 'close') to.end()
        else if (!to.writableEnded) to.write(instead instanceof Uint8Array ? instead : encodeMessage(instead))
      }
    }
  })
}
