/**
 * Did the program do what the machines say? Replays a recorded trace, session by session, through the same machines by pure
 * `transition()`, and names the first step that they do not know.
 *
 * Of each step it compares the state before, the event (known, its timer armed, its actor running), the state after, the
 * states passed, the effects in their order with their params, and the status. Lines are numbered by process, so one that is
 * missing or out of its place is told by the next; what is cut off at the end may be a process that was killed, and is not.
 */
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import {
  type AnyMachineSnapshot,
  type AnyStateMachine,
  type ExecutableActionsFrom,
  getMicrosteps,
  initialTransition,
  transition,
} from 'xstate'
import { greetingMachine } from '../../machines/handoff/greeting.machine.js'
import { incumbentMachine } from '../../machines/handoff/incumbent.machine.js'
import { successorMachine } from '../../machines/handoff/successor.machine.js'
import { supervisorMachine } from '../../machines/handoff/supervisor.machine.js'
import { swapMachine } from '../../machines/handoff/swap.machine.js'
import { plain, TRACE_VERSION, type TraceStep, textOf } from './trace.js'

export type Machines = Readonly<Record<string, AnyStateMachine>>

/** By the name a trace gives them, which is their id. */
export const HANDOFF_MACHINES: Machines = {
  supervisor: supervisorMachine,
  swap: swapMachine,
  incumbent: incumbentMachine,
  successor: successorMachine,
  greeting: greetingMachine,
}

/** The first step that the machines do not know. */
export interface Refusal {
  readonly file: string
  /** From 1. */
  readonly line: number
  /** What differs: `line`, `order`, `machine`, `start`, `from`, `event`, `state`, `through`, `actions` or `status`. */
  readonly differs: string
  readonly says: string
  readonly expected?: unknown
  readonly recorded?: unknown
  /** The step, where the line was one. */
  readonly pid?: number
  readonly machine?: string
  readonly session?: string
  /** The machine's state before the step, as the replay knows it; null when it was not started. */
  readonly state?: string | null
  readonly event?: string
}

export interface Conformance {
  readonly conforms: boolean
  readonly files: number
  readonly sessions: number
  readonly steps: number
  /** Sessions of which an overwritten part of the trace had the beginning: they cannot be followed. */
  readonly unfollowed: number
  readonly refusal: Refusal | null
}

/** `path` is one file, or a directory of them. An older part `<file>.1` is read first. @throws errno exceptions */
export function checkTraceFiles(path: string, machines: Machines = HANDOFF_MACHINES): Conformance {
  const files = statSync(path).isDirectory()
    ? readdirSync(path)
        .filter((name) => name.endsWith('.ndjson'))
        .sort()
        .map((name) => join(path, name))
    : [path]
  const all = { conforms: true, files: 0, sessions: 0, steps: 0, unfollowed: 0, refusal: null as Refusal | null }
  for (const file of files) {
    const older = `${file}.1`
    const isCut = existsSync(older)
    const parts = (isCut ? [older, file] : [file]).map((name) => ({ file: name, text: readFileSync(name, 'utf8') }))
    const one = checkTrace(parts, { machines, isCut })
    all.files += parts.length
    all.sessions += one.sessions
    all.steps += one.steps
    all.unfollowed += one.unfollowed
    if (one.refusal !== null) return { ...all, conforms: false, refusal: one.refusal }
  }
  return all
}

export interface CheckTraceOptions {
  /** Default: {@link HANDOFF_MACHINES}. */
  readonly machines?: Machines
  /** The beginning may have been overwritten, so a session may begin in its middle. Default: false. */
  readonly isCut?: boolean
}

/** Parts of one trace, the oldest first. */
export function checkTrace(
  parts: readonly { readonly file: string; readonly text: string }[],
  { machines = HANDOFF_MACHINES, isCut = false }: CheckTraceOptions = {},
): Conformance {
  const replay = new Replay(machines, isCut)
  for (const { file, text } of parts) {
    const lines = text.split('\n')
    // A process that was killed as it wrote leaves half a line, and no newline behind it.
    const last = lines.pop()
    if (last !== '' && last !== undefined && parse(last) !== null) lines.push(last)
    for (const [index, line] of lines.entries()) {
      const found = replay.take(line)
      if (found !== null) return replay.result(parts.length, { file, line: index + 1, ...found })
    }
  }
  return replay.result(parts.length, null)
}

type Found = Omit<Refusal, 'file' | 'line'>

class Replay {
  readonly #machines: Machines
  readonly #isCut: boolean
  readonly #snapshots = new Map<string, AnyMachineSnapshot>()
  readonly #unfollowed = new Set<string>()
  /** By pid: the number of the last line. */
  readonly #numbers = new Map<number, number>()
  #sessions = 0
  #steps = 0

  constructor(machines: Machines, isCut: boolean) {
    this.#machines = machines
    this.#isCut = isCut
  }

  result(files: number, refusal: Refusal | null): Conformance {
    const [sessions, steps, unfollowed] = [this.#sessions, this.#steps, this.#unfollowed.size]
    return { conforms: refusal === null, files, sessions, steps, unfollowed, refusal }
  }

  /** @returns what the machines do not know about it, or null */
  take(line: string): Found | null {
    const record = parse(line)
    if (record === null) return { differs: 'line', says: 'this line is no JSON object', recorded: line.slice(0, 200) }
    if ('trace' in record) return this.#begin(record)
    if (!isStep(record)) return { differs: 'line', says: 'this line is no step of a trace', recorded: record }
    const who = `${record.pid} ${record.session}`
    const before = this.#snapshots.get(who)
    const found = this.#follow(who, record, before)
    if (found === null) return null
    const { pid, machine, session, event } = record
    const at = { pid, machine, session, state: before === undefined ? null : textOf(before), event: event.type }
    return { ...found, ...at }
  }

  #begin({ trace, pid }: { readonly trace?: unknown; readonly pid?: unknown }): Found | null {
    if (trace === TRACE_VERSION && typeof pid === 'number') return null
    return { differs: 'line', says: 'a trace of another version', expected: TRACE_VERSION, recorded: trace }
  }

  #follow(who: string, step: TraceStep, before: AnyMachineSnapshot | undefined): Found | null {
    const machine = this.#machines[step.machine]
    if (machine === undefined) {
      return {
        differs: 'machine',
        says: 'no machine has this name',
        expected: Object.keys(this.#machines),
        recorded: step.machine,
      }
    }
    const isStart = step.event.type === 'xstate.init'
    const disorder = this.#count(step)
    if (disorder !== null) return disorder
    if (before === undefined && !isStart && this.#isCut) {
      this.#unfollowed.add(who)
      return null
    }
    // A pid that comes again is another process.
    const isAnew = isStart && (before === undefined || step.n === 1)
    if (!isAnew && (isStart || before === undefined)) {
      const says = isStart ? 'it starts a second time' : 'the start of this session is missing'
      return { differs: 'start', says, expected: isStart ? 'another event' : 'xstate.init', recorded: step.event.type }
    }
    const found = isStart ? null : notDue(machine, before as AnyMachineSnapshot, step)
    if (found !== null) return found
    return this.#compare(who, step, machine, isStart ? undefined : before)
  }

  #count({ n, pid }: TraceStep): Found | null {
    if (n === undefined) return null
    const last = this.#numbers.get(pid) ?? 0
    this.#numbers.set(pid, n)
    if (n === last + 1 || n === 1 || (last === 0 && this.#isCut)) return null
    const says = n > last ? 'lines of this process are missing before it' : 'it is out of its place'
    return { differs: 'order', says, expected: last + 1, recorded: n }
  }

  #compare(
    who: string,
    step: TraceStep,
    machine: AnyStateMachine,
    before: AnyMachineSnapshot | undefined,
  ): Found | null {
    const event = revive(step.event) as { readonly type: string; readonly input?: unknown }
    let after: AnyMachineSnapshot
    let effects: readonly ExecutableActionsFrom<AnyStateMachine>[]
    try {
      ;[after, effects] =
        before === undefined
          ? initialTransition(machine, event.input as never)
          : transition(machine, before as never, event as never)
    } catch (error) {
      return { differs: 'event', says: `the machine throws on it: ${error instanceof Error ? error.message : error}` }
    }
    const state = textOf(after)
    if (state !== step.state) {
      return { differs: 'state', says: 'it leads elsewhere', expected: state, recorded: step.state }
    }
    if (before !== undefined && step.through !== undefined) {
      const through = getMicrosteps(machine, before as never, event as never).map(([one]) => textOf(one))
      if (!isDeepStrictEqual(through, step.through)) {
        return { differs: 'through', says: 'it passes other states', expected: through, recorded: step.through }
      }
    }
    const actions = effects.map(({ type, params }) =>
      params === undefined || type.startsWith('xstate.') ? { type } : { type, params: toJson(params) },
    )
    if (!isDeepStrictEqual(actions, step.actions)) {
      return { differs: 'actions', says: 'it has other effects', expected: actions, recorded: step.actions }
    }
    const status = after.status === 'active' ? undefined : after.status
    if (status !== step.status) {
      return { differs: 'status', says: 'it ends otherwise', expected: after.status, recorded: step.status ?? 'active' }
    }
    this.#steps += 1
    if (before === undefined) this.#sessions += 1
    this.#snapshots.set(who, after)
    return null
  }
}

/** May this happen now at all? XState drops what nobody waits for without a word; here it is told. */
function notDue(machine: AnyStateMachine, before: AnyMachineSnapshot, { event, from }: TraceStep): Found | null {
  const state = textOf(before)
  if (from !== state) {
    return { differs: 'from', says: 'the machine is not there', expected: state, recorded: from ?? null }
  }
  if (before.status !== 'active') {
    return { differs: 'event', says: 'the machine has ended', expected: 'nothing', recorded: event.type }
  }
  const { type } = event
  const child = /^xstate\.(?:done|error|snapshot)\.actor\.(.+)$/.exec(type)?.[1]
  if (child !== undefined && before.children[child] === undefined) {
    return { differs: 'event', says: 'no such actor runs', expected: Object.keys(before.children), recorded: child }
  }
  const due: string[] = before._nodes.flatMap((node) => [...node.transitions.keys()])
  if (type.startsWith('xstate.after.') && !due.includes(type)) {
    const armed = due.filter((one) => one.startsWith('xstate.after.'))
    return { differs: 'event', says: 'this timer is not armed', expected: armed, recorded: type }
  }
  if (type === 'xstate.stop' || machine.events.some((descriptor) => matches(descriptor as string, type))) return null
  return { differs: 'event', says: 'the machine knows no such event', expected: machine.events, recorded: type }
}

const matches = (descriptor: string, type: string): boolean =>
  descriptor === type ||
  descriptor === '*' ||
  (descriptor.endsWith('.*') && type.startsWith(descriptor.slice(0, descriptor.length - 1)))

const isStep = (record: Partial<TraceStep>): record is TraceStep =>
  typeof record.t === 'number' &&
  typeof record.pid === 'number' &&
  typeof record.machine === 'string' &&
  typeof record.session === 'string' &&
  typeof record.event?.type === 'string' &&
  typeof record.state === 'string' &&
  Array.isArray(record.actions)

function parse(line: string): (Partial<TraceStep> & { readonly trace?: unknown }) | null {
  try {
    const record: unknown = JSON.parse(line)
    return typeof record === 'object' && record !== null ? record : null
  } catch {
    return null
  }
}

const toJson = (value: unknown): unknown => JSON.parse(JSON.stringify(plain(value)))

/** What {@link plain} wrote, as the machine was given it. */
export function revive(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(revive)
  if (typeof value !== 'object' || value === null) return value
  const { $bigint, $hex, $error, code } = value as Readonly<Record<string, unknown>>
  if (typeof $bigint === 'string') return BigInt($bigint)
  if (typeof $hex === 'string') return Uint8Array.from(Buffer.from($hex, 'hex'))
  if (typeof $error === 'string') return Object.assign(new Error($error), code === undefined ? {} : { code })
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, revive(item)]))
}
