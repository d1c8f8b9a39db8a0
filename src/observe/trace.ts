/**
 * The trace: what the real machines did, one line of JSON a step, for people, for the crash tests, and for a checker that
 * replays it through the same machines. Off unless `HANDOFF_TRACE` or an option asks for it.
 *
 * First line: `{"trace":1,"pid","role","startedAt","node","xstate"}`. Each further line is one macrostep of one machine:
 *
 * | key | |
 * |---|---|
 * | `n` | 1, 2, 3 … in this process: a line that is missing can be told |
 * | `t` | ms since `startedAt`, monotonic |
 * | `pid`, `machine`, `session` | who: the process, the machine's id, and XState's session id (unique in the process) |
 * | `event` | what it was sent, as plain data; `xstate.init` with the machine's input comes first |
 * | `from`, `state` | state before and after, as dotted text, regions joined by `\|`; `from` is absent at first |
 * | `through` | every state of the microsteps in between, in order, the last one included; absent when there is only one |
 * | `actions` | names of the effects in order, each with its params where it has some |
 * | `status` | `done`, `error` or `stopped`; absent while it is active |
 *
 * Data that JSON does not know is written as `{"$bigint":"1"}`, `{"$hex":"00ff"}`, `{"$error":"message","code":"…"}`.
 */
import { closeSync, fstatSync, mkdirSync, openSync, renameSync, statSync, writeSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { AnyActorRef, InspectionEvent, StateValue } from 'xstate'
import { stateText } from '../channel/state-text.js'
import { xstateVersion } from './xstate-version.js'

export const TRACE_VERSION = 1
/** Names a directory (a file for each process) or, ending in `.ndjson`, one file that all processes append to. */
export const TRACE_ENV = 'HANDOFF_TRACE'
/** A file is renamed to `<name>.1` at this size and begun anew, bytes: what is kept never exceeds twice as much. */
export const TRACE_MAX_BYTES = 32 * 1024 * 1024

export interface TraceOptions {
  /** As in {@link TRACE_ENV}. */
  readonly to: string
  /** `supervisor` or `daemon`. */
  readonly role: string
  /** Default {@link TRACE_MAX_BYTES}. */
  readonly maxBytes?: number
}

export interface TraceStep {
  /** Absent in what earlier builds wrote. */
  readonly n?: number
  readonly t: number
  readonly pid: number
  readonly machine: string
  readonly session: string
  readonly event: { readonly type: string; readonly [key: string]: unknown }
  readonly from?: string
  readonly state: string
  readonly through?: readonly string[]
  readonly actions: readonly { readonly type: string; readonly params?: unknown }[]
  readonly status?: string
}

export class Trace {
  readonly path: string
  readonly #maxBytes: number
  readonly #began = performance.now()
  readonly #steps = new Map<
    string,
    { from: string | undefined; through: string[]; actions: TraceStep['actions'][number][] }
  >()
  readonly #role: string
  #fd: number | null = null
  #written = 0

  constructor({ to, role, maxBytes = TRACE_MAX_BYTES }: TraceOptions) {
    this.path = to.endsWith('.ndjson') ? to : join(to, `${role}-${process.pid}.ndjson`)
    this.#role = role
    this.#maxBytes = maxBytes
    mkdirSync(dirname(this.path), { recursive: true })
    this.#open()
  }

  /** For `inspect` of createActor. A trace that cannot be written ends; the service does not. */
  observe(event: InspectionEvent): void {
    if (this.#fd === null) return
    const machine = machineOf(event)
    if (machine === null) return
    const { sessionId } = event.actorRef as AnyActorRef
    const step = this.#stepOf(sessionId)
    if (event.type === '@xstate.action') {
      const { type, params } = event.action
      // What XState does by itself (spawn, stop, raise, cancel) has actors in its params.
      step.actions.push(params === undefined || type.startsWith('xstate.') ? { type } : { type, params: plain(params) })
    } else if (event.type === '@xstate.microstep') {
      step.through.push(textOf(event.snapshot))
    } else if (event.type === '@xstate.snapshot') {
      this.#write(machine, sessionId, event.event, event.snapshot)
    }
  }

  close(): void {
    if (this.#fd !== null) closeSync(this.#fd)
    this.#fd = null
  }

  #write(machine: string, session: string, event: { type: string }, snapshot: unknown): void {
    const { from, through, actions } = this.#stepOf(session)
    const state = textOf(snapshot)
    const { status } = snapshot as { status: string }
    this.#written += 1
    const step: TraceStep = {
      n: this.#written,
      t: Math.round((performance.now() - this.#began) * 1000) / 1000,
      pid: process.pid,
      machine,
      session,
      event: plain(event) as TraceStep['event'],
      ...(from === undefined ? {} : { from }),
      state,
      ...(through.length < 2 ? {} : { through }),
      actions,
      ...(status === 'active' ? {} : { status }),
    }
    this.#steps.set(session, { from: state, through: [], actions: [] })
    if (status !== 'active') this.#steps.delete(session)
    this.#append(step)
  }

  #stepOf(session: string) {
    const known = this.#steps.get(session)
    if (known !== undefined) return known
    const fresh = { from: undefined, through: [], actions: [] }
    this.#steps.set(session, fresh)
    return fresh
  }

  #append(record: object): void {
    if (this.#fd === null) return
    try {
      writeSync(this.#fd, `${JSON.stringify(record)}\n`)
      if (fstatSync(this.#fd).size >= this.#maxBytes) this.#rotate()
    } catch {
      this.close()
    }
  }

  #rotate(): void {
    const mine = fstatSync(this.#fd as number).ino
    this.close()
    // Of several processes on one file the first to notice renames it; the others only follow.
    if (statSync(this.path, { throwIfNoEntry: false })?.ino === mine) renameSync(this.path, `${this.path}.1`)
    this.#open()
  }

  #open(): void {
    // Appending in one write(2) keeps the lines of several processes apart.
    this.#fd = openSync(this.path, 'a', 0o600)
    const startedAt = new Date(Date.now() - (performance.now() - this.#began)).toISOString()
    const head = { trace: TRACE_VERSION, pid: process.pid, role: this.#role, startedAt }
    this.#append({ ...head, node: process.version, xstate: xstateVersion() })
  }
}

/** The id of the machine an event is about; null for promises and other logic. */
export function machineOf(event: InspectionEvent): string | null {
  const { logic } = event.actorRef as { logic?: { id?: unknown; machine?: unknown; config?: unknown } }
  return typeof logic?.id === 'string' && logic.config !== undefined ? logic.id : null
}

/** `attempting.sealing` of a machine's snapshot. */
export const textOf = (snapshot: unknown): string => stateText((snapshot as { value: StateValue }).value)

/** Plain data of anything; nothing in a trace may refer to a living object. */
export function plain(value: unknown, depth = 0): unknown {
  if (typeof value === 'bigint') return { $bigint: String(value) }
  if (value instanceof Uint8Array) return { $hex: Buffer.from(value).toString('hex') }
  if (value instanceof Error) {
    const { code } = value as { code?: unknown }
    return { $error: value.message, ...(typeof code === 'string' ? { code } : {}) }
  }
  if (typeof value === 'function' || typeof value === 'symbol') return undefined
  if (typeof value !== 'object' || value === null) return value
  if (depth > 8 || 'sessionId' in value) return undefined
  if (Array.isArray(value)) return value.map((item) => plain(item, depth + 1))
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, plain(item, depth + 1)]))
}
