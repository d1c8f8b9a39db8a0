/** Files that can be replayed: recorded inspection messages, or the trace that a process writes (HANDOFF_TRACE). */
import { incumbentMachine } from '../../machines/handoff/incumbent.machine.js'
import { successorMachine } from '../../machines/handoff/successor.machine.js'
import { supervisorMachine } from '../../machines/handoff/supervisor.machine.js'
import { swapMachine } from '../../machines/handoff/swap.machine.js'
import type { Message } from './scene.js'

const MACHINES: Readonly<Record<string, { readonly config: unknown }>> = {
  supervisor: supervisorMachine,
  swap: swapMachine,
  incumbent: incumbentMachine,
  successor: successorMachine,
}

interface Head {
  readonly trace: number
  readonly pid: number
  readonly startedAt: string
}
interface TraceLine {
  readonly t: number
  readonly pid: number
  readonly machine: string
  readonly session: string
  readonly event: { readonly type: string }
  readonly state: string
  readonly from?: string
  readonly actions: readonly { readonly type: string; readonly params?: unknown }[]
  readonly status?: string
}

/** Several files' texts may be joined: lines are put in the order of their time. Lines that are no such record are left out. */
export function readTrace(text: string): Message[] {
  const starts = new Map<number, number>()
  const met = new Set<string>()
  const messages: Message[] = []
  for (const line of text.split('\n')) {
    const record = parse(line)
    if (record === null) continue
    if (isHead(record)) starts.set(record.pid, Date.parse(record.startedAt))
    else if (isTraceLine(record)) messages.push(...fromTrace(record, starts.get(record.pid) ?? 0, met))
    else if (typeof record.type === 'string' && typeof record.createdAt === 'string')
      messages.push(record as unknown as Message)
  }
  return messages
    .map((message, index) => ({ message, index }))
    .sort((a, b) => Number(a.message.createdAt) - Number(b.message.createdAt) || a.index - b.index)
    .map(({ message }) => message)
}

function fromTrace(step: TraceLine, startedAt: number, met: Set<string>): Message[] {
  const machine = MACHINES[step.machine]
  if (machine === undefined) return []
  const sessionId = `${step.machine}-${step.pid}-trace/${step.session}`
  const common = { sessionId, createdAt: String(startedAt + step.t) }
  const status = step.status ?? 'active'
  const messages: Message[] = []
  if (step.from === undefined || !met.has(sessionId)) {
    met.add(sessionId)
    const definition = JSON.stringify(machine.config, (_key, value) =>
      typeof value === 'function' ? undefined : value,
    )
    const process = { role: step.machine, pid: step.pid, buildId: '' }
    messages.push({ type: '@xstate.actor', definition, process, ...common })
  }
  messages.push({ type: '@xstate.event', event: step.event, ...common })
  for (const action of step.actions) messages.push({ type: '@xstate.action', action, ...common })
  messages.push({
    type: '@xstate.snapshot',
    event: step.event,
    snapshot: { value: stateValue(step.state), status },
    ...common,
  })
  return messages
}

/** `attempting.draining` → `{ attempting: 'draining' }`. */
function stateValue(state: string): unknown {
  const [first = '', ...rest] = state.split('.')
  return rest.length === 0 ? first : { [first]: stateValue(rest.join('.')) }
}

function parse(line: string): Record<string, unknown> | null {
  if (!line.startsWith('{')) return null
  try {
    return JSON.parse(line) as Record<string, unknown>
  } catch {
    return null
  }
}

const isHead = (record: object): record is Head => 'trace' in record && 'startedAt' in record && 'pid' in record
const isTraceLine = (record: object): record is TraceLine =>
  'machine' in record && 'state' in record && 'session' in record
