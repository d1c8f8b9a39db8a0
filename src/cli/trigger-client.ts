/** Asks a supervisor over its trigger socket, in JSON lines. */
import { createConnection } from 'node:net'
import { createInterface } from 'node:readline'
import { cliError } from '../errors/cli.js'
import { HandoffError } from '../errors/handoff-error.js'
import type { ErrorLine, TriggerCommand, TriggerEvent } from '../supervisor/trigger-lines.js'

export interface Ask {
  readonly cmd: TriggerCommand
  readonly binary?: string
}

type Answer = Exclude<TriggerEvent, ErrorLine>

/**
 * Yields every answer until the supervisor closes.
 * @throws HandoffError the supervisor's own refusal; ERR_HANDOFF_SUPERVISOR_UNREACHABLE, ERR_HANDOFF_PEER_TRIGGER_ANSWER
 */
export async function* ask(path: string, request: Ask): AsyncGenerator<Answer, void, void> {
  const socket = createConnection(path)
  try {
    await new Promise<void>((resolve, reject) => socket.once('connect', resolve).once('error', reject))
  } catch (error) {
    const why = (error as NodeJS.ErrnoException).code ?? String(error)
    throw cliError('ERR_HANDOFF_SUPERVISOR_UNREACHABLE', [path, why], error)
  }
  socket.on('error', () => {}) // a broken connection ends the lines below; the caller sees that no answer came
  socket.write(`${JSON.stringify({ v: 1, ...request })}\n`)
  try {
    for await (const line of createInterface({ input: socket, crlfDelay: Number.POSITIVE_INFINITY })) {
      yield parseAnswer(path, line)
    }
  } finally {
    socket.destroy()
  }
}

/** For requests that are answered by one line of a known kind. */
export async function askOne<E extends Answer['event']>(path: string, request: Ask, event: E) {
  for await (const answer of ask(path, request)) {
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
