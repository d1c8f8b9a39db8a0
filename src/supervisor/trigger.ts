/**
 * The trigger socket: where swaps are asked for. Any number of clients at once, each with its own clock, so that one
 * that says nothing keeps nobody waiting (gap-30). A client that leaves cancels nothing: what it asked for goes on.
 */
import type { Socket } from 'node:net'
import type { Logger } from 'pino'
import { triggerError } from '../errors/trigger.js'
import { realBinary, resolveBinary } from './binary.js'
import {
  errorLine,
  errorText,
  MAX_COMMAND_BYTES,
  outcomeLine,
  parseRequest,
  type TriggerEvent,
  type TriggerRequest,
} from './trigger-lines.js'
import { bindTriggerSocket, peerUid } from './trigger-socket.js'
import type { Supervisor, SupervisorStatus } from './types.js'

/** A client gets this long to send its command, and as long to take the answer, ms (wire spec, "Trigger socket"). */
export const CLIENT_TIMEOUT_MS = 10_000
/** Clients at once. Each costs an fd; an operator's script needs one. */
export const MAX_CLIENTS = 64
/** A client that asked for progress and does not read it is cut off, bytes. */
const MAX_UNREAD_BYTES = 64 * 1024

export interface TriggerOptions {
  readonly path: string
  readonly supervisor: Pick<Supervisor, 'swap' | 'rehearse' | 'status' | 'subscribe'>
  /** The configured binary; always allowed. */
  readonly binary: string
  readonly allowedBinaries: readonly string[]
  readonly allowedUids: readonly number[]
  /** The owner or root asked this process to end: with its primitive, or leaving it to serve on. Must not throw. */
  readonly onEnd: (how: 'stop' | 'leave') => void
  readonly log: Logger
  /** Default {@link CLIENT_TIMEOUT_MS}. */
  readonly clientTimeoutMs?: number
  /** Default: the kernel's word (SO_PEERCRED). */
  readonly uidOf?: (socket: Socket) => number
}

export interface Trigger {
  /**
   * Removes the path if it is still ours and takes no more clients. Resolves when the last one has left: those that
   * wait for an outcome are still told it.
   */
  close(): Promise<void>
  /** Who may ask from now on, and for what. */
  reconfigure(allowed: Pick<TriggerOptions, 'binary' | 'allowedBinaries' | 'allowedUids'>): void
}

/** @throws HandoffError ERR_HANDOFF_STATE_SUPERVISOR_RUNNING, ERR_HANDOFF_SOCKET_PATH_… */
export async function openTrigger(options: TriggerOptions): Promise<Trigger> {
  const clients = new Map<Socket, Answer>()
  let now = options
  const bound = await bindTriggerSocket(options.path, options.allowedUids.length > 0, (socket) => {
    const answer = new Answer(socket, options.clientTimeoutMs ?? CLIENT_TIMEOUT_MS)
    if (clients.size >= MAX_CLIENTS) makeRoom(clients)
    clients.set(socket, answer)
    socket.once('close', () => clients.delete(socket))
    serveClient(answer, clients.size, now)
  })
  bound.server.on('error', (err) => options.log.warn({ err }, 'the trigger socket could not take a client'))
  return {
    async close() {
      bound.unpublish()
      const closed = new Promise<void>((resolve) => bound.server.close(() => resolve()))
      for (const [socket, answer] of clients) if (!answer.owed) socket.destroySoon()
      await closed
    },
    reconfigure(allowed) {
      now = { ...now, ...allowed }
      bound.openToOthers(now.allowedUids.length > 0)
    },
  }
}

/** The one that has said nothing for longest makes room: a crowd of silent clients must not keep the operator out. */
function makeRoom(clients: Map<Socket, Answer>): void {
  for (const [socket, answer] of clients) {
    if (answer.owed) continue
    answer.end(errorText(triggerError('ERR_HANDOFF_STATE_TRIGGER_BUSY', [MAX_CLIENTS])))
    socket.destroySoon()
    clients.delete(socket)
    return
  }
}

function serveClient(answer: Answer, clients: number, options: TriggerOptions): void {
  try {
    if (clients > MAX_CLIENTS) throw triggerError('ERR_HANDOFF_STATE_TRIGGER_BUSY', [MAX_CLIENTS])
    const uid = (options.uidOf ?? peerUid)(answer.socket)
    authorise(uid, options.allowedUids)
    readCommand(answer.socket, answer.timeoutMs, {
      onLine: (line) => void obey(line, uid, answer, options),
      onRefusal: (error) => answer.end(errorText(error)),
    })
  } catch (error) {
    options.log.warn({ err: error }, 'a client of the trigger socket was refused')
    answer.end(errorText(error))
  }
}

function authorise(uid: number, allowed: readonly number[]): void {
  if (!isOwner(uid) && !allowed.includes(uid)) throw triggerError('ERR_HANDOFF_USAGE_TRIGGER_UID', [uid])
}

const isOwner = (uid: number): boolean => uid === 0 || uid === process.getuid?.()

/** Calls at most one of both, once. A line may end with the stream instead of a newline. */
function readCommand(socket: Socket, ms: number, calls: { onLine(line: string): void; onRefusal(error: Error): void }) {
  let text = Buffer.alloc(0)
  const settle = (then: () => void) => {
    clearTimeout(timer)
    socket.off('data', onData).off('end', onEnd).off('close', onClose)
    socket.resume() // read on and discard: closing on unread bytes would turn the client's EOF into ECONNRESET
    then()
  }
  const refuse = (error: Error) => settle(() => calls.onRefusal(error))
  const onData = (chunk: Buffer) => {
    text = Buffer.concat([text, chunk])
    const newline = text.indexOf(0x0a)
    if ((newline === -1 ? text.length : newline) > MAX_COMMAND_BYTES) {
      refuse(triggerError('ERR_HANDOFF_USAGE_TRIGGER_TOO_LONG', [MAX_COMMAND_BYTES]))
    } else if (newline !== -1) settle(() => calls.onLine(text.toString('utf8', 0, newline)))
  }
  // Nothing at all is no mistake: a probe looked whether somebody answers.
  const onEnd = () => settle(() => (text.length === 0 ? socket.end() : calls.onLine(text.toString('utf8'))))
  const onClose = () => settle(() => {})
  const timer = setTimeout(() => refuse(triggerError('ERR_HANDOFF_USAGE_TRIGGER_TIMEOUT', [ms])), ms)
  socket.on('data', onData).on('end', onEnd).on('close', onClose)
}

async function obey(line: string, uid: number, answer: Answer, options: TriggerOptions): Promise<void> {
  let request: TriggerRequest | null = null
  answer.owed = true
  try {
    request = parseRequest(line)
    if (request.cmd === 'status') {
      answer.end(json({ v: 1, event: 'status', status: options.supervisor.status() }))
    } else if (request.cmd === 'watch') {
      watch(answer, options)
    } else if (request.cmd === 'stop' || request.cmd === 'leave') {
      if (!isOwner(uid)) throw triggerError('ERR_HANDOFF_USAGE_TRIGGER_OWNER_ONLY', [request.cmd, uid])
      answer.end(json({ v: 1, event: 'stopping' }))
      options.onEnd(request.cmd)
    } else if (request.cmd === 'rehearse') {
      await rehearse(request, uid, answer, options)
    } else await swap(request, uid, answer, options)
  } catch (error) {
    options.log.warn({ err: error, uid }, 'a command on the trigger socket was refused')
    const isJson = request === null ? line.trimStart().startsWith('{') : request.language === 'json'
    answer.end(isJson ? json(errorLine(error)) : errorText(error))
  }
}

/** Until the client leaves, or the trigger closes: nobody waits for an answer here. */
function watch(answer: Answer, { supervisor }: TriggerOptions): void {
  answer.owed = false
  const tell = (status: SupervisorStatus): void => answer.write(json({ v: 1, event: 'status', status }))
  const unsubscribe = supervisor.subscribe(tell)
  answer.socket.once('close', unsubscribe)
  answer.socket.once('end', () => answer.socket.destroySoon())
  tell(supervisor.status())
}

async function rehearse(request: TriggerRequest, uid: number, answer: Answer, options: TriggerOptions): Promise<void> {
  refuseWhileSwapping(options)
  const binary = request.binary === undefined ? options.binary : allowedBinary(request.binary, options)
  options.log.info({ uid, binary }, 'a rehearsal was asked for')
  let told = false
  const unsubscribe = options.supervisor.subscribe(({ state }) => {
    if (told || !state.startsWith('serving.rehearsing')) return
    told = true
    answer.write(json({ v: 1, event: 'rehearsing', binary }))
  })
  try {
    answer.end(json({ v: 1, event: 'rehearsal', rehearsal: await options.supervisor.rehearse({ binary }) }))
  } finally {
    unsubscribe()
  }
}

function refuseWhileSwapping({ supervisor }: TriggerOptions): void {
  const { swap } = supervisor.status()
  if (swap === null) return
  throw triggerError('ERR_HANDOFF_STATE_SWAP_RUNNING', [swap.handoffId, swap.phase, Math.round(swap.elapsedMs)])
}

async function swap(request: TriggerRequest, uid: number, answer: Answer, options: TriggerOptions): Promise<void> {
  refuseWhileSwapping(options)
  // Unnamed means the configured one, as it is found now, also after a swap to another.
  const binary = request.binary === undefined ? options.binary : allowedBinary(request.binary, options)
  options.log.info({ uid, binary }, 'a swap was asked for')
  const unsubscribe = request.language === 'json' ? options.supervisor.subscribe(tellPhases(answer)) : () => {}
  try {
    const outcome = await options.supervisor.swap({ binary })
    answer.end(request.language === 'json' ? json({ v: 1, event: 'outcome', outcome }) : outcomeLine(outcome))
  } finally {
    unsubscribe()
  }
}

/** One line a phase, however often the status changes within it. */
function tellPhases(answer: Answer): (status: SupervisorStatus) => void {
  let told = ''
  return ({ swap }) => {
    if (swap === null || swap.phase === told) return
    told = swap.phase
    answer.write(json({ v: 1, event: 'phase', ...swap }))
  }
}

/** Compared by what the links lead to; what is handed on is the name as given, looked up anew when it is started. */
function allowedBinary(binary: string, { binary: configured, allowedBinaries }: TriggerOptions): string {
  const { real } = resolveBinary(binary)
  const isAllowed = [configured, ...allowedBinaries].some((allowed) => realBinary(allowed) === real)
  if (!isAllowed) throw triggerError('ERR_HANDOFF_USAGE_TRIGGER_BINARY', [binary, real])
  return binary
}

/** The way back to one client: never blocks, never outlives its clock. */
class Answer {
  /** A command came in whole and its answer did not go out yet. */
  owed = false

  constructor(
    readonly socket: Socket,
    readonly timeoutMs: number,
  ) {
    socket.on('error', () => socket.destroy()) // it left, and may
  }

  write(line: string): void {
    if (!this.socket.writable) return
    this.socket.write(`${line}\n`)
    if (this.socket.writableLength > MAX_UNREAD_BYTES) this.socket.destroy()
  }

  /** The client sees the line, then EOF; it has `timeoutMs` to take both and leave. */
  end(line: string): void {
    this.owed = false
    if (!this.socket.writable) return
    const timer = setTimeout(() => this.socket.destroy(), this.timeoutMs)
    this.socket.once('close', () => clearTimeout(timer))
    this.socket.end(`${line}\n`)
  }
}

const json = (event: TriggerEvent): string => JSON.stringify(event)
