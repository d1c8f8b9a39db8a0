/** Asks a supervisor over its trigger socket, in JSON lines. */
import { createConnection, type Socket } from 'node:net'
import { cliError } from '../errors/cli.js'
import { HandoffError } from '../errors/handoff-error.js'
import type { ErrorLine, TriggerCommand, TriggerEvent } from '../supervisor/trigger-lines.js'

export interface Ask {
  readonly cmd: TriggerCommand
  readonly binary?: string
}

type Answer = Exclude<TriggerEvent, ErrorLine>

export interface AskOptions {
  /** How long the first answer may take, ms. Default {@link FIRST_ANSWER_MS}; what follows has the swap's own limits. */
  readonly firstAnswerMs?: number
  /** Leaves; the answers end. */
  readonly signal?: AbortSignal
}

/** A living supervisor answers at once; a stopped or blocked one never. */
export const FIRST_ANSWER_MS = 10_000

/**
 * Yields every answer until the supervisor closes.
 * @throws HandoffError the supervisor's own refusal; ERR_HANDOFF_SUPERVISOR_UNREACHABLE, …_SILENT, ERR_HANDOFF_PEER_TRIGGER_ANSWER
 */
export async function* ask(path: string, request: Ask, options: AskOptions = {}): AsyncGenerator<Answer, void, void> {
  const firstAnswerMs = options.firstAnswerMs ?? FIRST_ANSWER_MS
  const socket = createConnection(path)
  try {
    await new Promise<void>((resolve, reject) => socket.once('connect', resolve).once('error', reject))
  } catch (error) {
    const why = (error as NodeJS.ErrnoException).code ?? String(error)
    throw cliError('ERR_HANDOFF_SUPERVISOR_UNREACHABLE', [path, why], error)
  }
  const leave = () => socket.destroy()
  options.signal?.addEventListener('abort', leave)
  let silent = false
  const timer = setTimeout(() => {
    silent = true
    socket.destroy()
  }, firstAnswerMs)
  socket.write(`${JSON.stringify({ v: 1, ...request })}\n`)
  try {
    for await (const line of linesOf(socket)) {
      clearTimeout(timer)
      yield parseAnswer(path, line)
    }
    if (silent) throw cliError('ERR_HANDOFF_SUPERVISOR_SILENT', [path, firstAnswerMs])
  } finally {
    clearTimeout(timer)
    options.signal?.removeEventListener('abort', leave)
    socket.destroy()
  }
}

/** Ends however the connection ends: the caller sees which answer did not come. (readline would wait for ever after a reset.) */
async function* linesOf(socket: Socket): AsyncGenerator<string, void, void> {
  let text = ''
  try {
    for await (const chunk of socket.setEncoding('utf8')) {
      const lines = (text + chunk).split(/\r?\n/)
      text = lines.pop() ?? ''
      yield* lines
    }
  } catch {
    return
  }
  if (text !== '') yield text
}

/** For requests that are answered by one line of a known kind. */
export async function askOne<E extends Answer['event']>(
  path: string,
  request: Ask,
  event: E,
  options: AskOptions = {},
) {
  for await (const answer of ask(path, request, options)) {
    if (answer.event === event) return answer as Extract<Answer, { event: E }>
  }
  throw cliError('ERR_HANDOFF_SUPERVISOR_LOST', [path])
}

function parseAnswer(path: string, line: string): Answer {
  let answer: TriggerEvent | null = null
  try {
    answer = JSON.parse(line) as TriggerEvent
  } catch {
    // Not ours: see below.
  }
  // A refusal before the request was read (a uid, too many clients) comes as the reference's one line.
  if (line.startsWith('err: ')) throw cliError('ERR_HANDOFF_USAGE_REFUSED', [path, line.slice('err: '.length)])
  if (answer === null || typeof answer.event !== 'string')
    throw cliError('ERR_HANDOFF_PEER_TRIGGER_ANSWER', [path, line])
  if (answer.event === 'error') throw new HandoffError(answer.code, answer)
  return answer
}
