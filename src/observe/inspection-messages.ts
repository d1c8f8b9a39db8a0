/**
 * What an inspector is told, in the format of @statelyai/inspect: `@xstate.actor`, `@xstate.event`, `@xstate.snapshot`.
 *
 * Two additions that a standard viewer ignores: `@xstate.action` (so that a viewer sees what was said to whom), and
 * `timers` beside a snapshot (so that it can count down).
 */
import type { AnyActorRef, AnyMachineSnapshot, InspectionEvent } from 'xstate'

/** A delayed transition that is armed. */
export interface TimerFact {
  /** `xstate.after.<delay>.<state id>`. */
  readonly event: string
  readonly delayMs: number
  /** Unix time, ms. */
  readonly startedAt: number
}

interface Common {
  readonly sessionId: string
  readonly rootId: string
  /** Unix time in ms, as text: so the format has it. */
  readonly createdAt: string
  readonly id: null
  readonly _version: string
}

export interface ActorMessage extends Common {
  readonly type: '@xstate.actor'
  readonly name: string
  readonly parentId: string | undefined
  /** The machine's config as JSON text. */
  readonly definition: string
  readonly snapshot: unknown
  /** Whose actor it is: an addition of ours. */
  readonly process: { readonly role: string; readonly pid: number; readonly buildId: string }
}
export interface EventMessage extends Common {
  readonly type: '@xstate.event'
  readonly sourceId: string | undefined
  readonly event: unknown
}
export interface SnapshotMessage extends Common {
  readonly type: '@xstate.snapshot'
  readonly event: unknown
  readonly snapshot: unknown
  readonly timers: readonly TimerFact[]
}
export interface ActionMessage extends Common {
  readonly type: '@xstate.action'
  readonly action: { readonly type: string; readonly params: unknown }
}
export type InspectionMessage = ActorMessage | EventMessage | SnapshotMessage | ActionMessage

/** The format's version that this follows. */
export const INSPECT_VERSION = '0.7.2'

/** Longest message, bytes; a context that makes it longer is left out. */
export const MAX_MESSAGE_BYTES = 512 * 1024

/** Who sends: session ids carry it, so that processes of one swap never meet under one name. */
export interface InspectedProcess {
  readonly pid: number
  readonly buildId: string
  /** Tells two lives of one pid apart. */
  readonly epoch: string
}

interface CapturedBy {
  readonly at: number
  readonly ref: AnyActorRef
  /** One process may play two: a successor becomes the incumbent. */
  readonly role: string
}

/** What an event was when it happened. Snapshots are immutable, so that turning it into text may wait. */
export type Captured = CapturedBy &
  (
    | { readonly type: 'actor'; readonly snapshot: unknown }
    | { readonly type: 'event'; readonly source: AnyActorRef | undefined; readonly event: unknown }
    | {
        readonly type: 'snapshot'
        readonly event: unknown
        readonly snapshot: unknown
        readonly timers: readonly TimerFact[]
      }
    | { readonly type: 'action'; readonly action: { readonly type: string; readonly params: unknown } }
  )

/** Called in the middle of a machine's step: takes references only. Null for what no viewer needs. */
export function capture(event: InspectionEvent, role: string): Captured | null {
  const ref = event.actorRef as AnyActorRef
  const by: CapturedBy = { at: Date.now(), ref, role }
  switch (event.type) {
    case '@xstate.actor':
      return { type: 'actor', ...by, snapshot: safeSnapshot(ref) }
    case '@xstate.event':
      return { type: 'event', ...by, source: event.sourceRef as AnyActorRef | undefined, event: event.event }
    case '@xstate.snapshot':
      return { type: 'snapshot', ...by, event: event.event, snapshot: event.snapshot, timers: timersOf(ref) }
    case '@xstate.action':
      // Assignments and timers show in the snapshot; what is said to others shows nowhere else.
      return event.action.type.startsWith('xstate.') ? null : { type: 'action', ...by, action: event.action as never }
    default:
      return null
  }
}

/** An actor has no snapshot yet while it is being created. */
function safeSnapshot(ref: AnyActorRef): unknown {
  try {
    return ref.getSnapshot() ?? { status: 'active' }
  } catch {
    return { status: 'active' }
  }
}

interface Scheduled {
  readonly event: { readonly type: string }
  readonly delay: number
  readonly startedAt: number
  readonly source: AnyActorRef
}

function timersOf(ref: AnyActorRef): TimerFact[] {
  const { _scheduledEvents: scheduled } = ref.system.getSnapshot() as unknown as {
    readonly _scheduledEvents: Readonly<Record<string, Scheduled>>
  }
  const own = Object.values(scheduled).filter(({ source }) => source === ref)
  return own.map(({ event, delay, startedAt }) => ({ event: event.type, delayMs: delay, startedAt }))
}

/** As text, ready to be sent. */
export function messageText(captured: Captured, by: InspectedProcess): string {
  const { ref, at, type, role } = captured
  const common: Common = {
    sessionId: sessionId(ref, role, by),
    rootId: sessionId(rootOf(ref), role, by),
    createdAt: String(at),
    id: null,
    _version: INSPECT_VERSION,
  }
  switch (type) {
    case 'actor':
      return bounded({
        type: '@xstate.actor',
        name: nameOf(ref, role, by.pid),
        parentId: ref._parent && sessionId(ref._parent, role, by),
        definition: toJson(configOf(ref) ?? { id: ref.id }),
        snapshot: captured.snapshot,
        process: { role, pid: by.pid, buildId: by.buildId },
        ...common,
      })
    case 'event':
      return bounded({
        type: '@xstate.event',
        event: captured.event,
        sourceId: captured.source && sessionId(captured.source, role, by),
        ...common,
      })
    case 'snapshot':
      return bounded({
        type: '@xstate.snapshot',
        event: captured.event,
        snapshot: captured.snapshot,
        timers: captured.timers,
        ...common,
      })
    case 'action':
      return bounded({ type: '@xstate.action', action: captured.action, ...common })
  }
}

/** `supervisor-4211-m1k2/x:0`. */
export const sessionId = (ref: AnyActorRef, role: string, by: InspectedProcess): string =>
  `${role}-${by.pid}-${by.epoch}/${ref.sessionId}`

function nameOf(ref: AnyActorRef, role: string, pid: number): string {
  if (configOf(ref) === null) return ref.id
  return ref._parent === undefined ? `${role} (pid ${pid})` : `${ref.id} (pid ${pid})`
}

function configOf(ref: AnyActorRef): object | null {
  const { config } = (ref as { logic?: { config?: unknown } }).logic ?? {}
  return typeof config === 'object' ? config : null
}

function rootOf(ref: AnyActorRef): AnyActorRef {
  let root = ref
  while (root._parent !== undefined) root = root._parent
  return root
}

function bounded(message: InspectionMessage): string {
  const text = toJson(message)
  if (text.length <= MAX_MESSAGE_BYTES || !('snapshot' in message)) return text.slice(0, MAX_MESSAGE_BYTES)
  const { status, value } = (message.snapshot ?? {}) as Partial<AnyMachineSnapshot>
  return toJson({ ...message, snapshot: { status, value, context: { omitted: `${text.length} bytes` } } })
}

/** Takes everything that a daemon's own events may carry: u64 as text, errors with their words, functions by name. */
export function toJson(value: unknown): string {
  const above: object[] = []
  return JSON.stringify(value, function (this: unknown, _key, item: unknown) {
    if (typeof item === 'bigint') return item.toString()
    if (typeof item === 'function') return { type: item.name }
    if (item instanceof Error)
      return { name: item.name, message: item.message, ...('code' in item && { code: item.code }) }
    if (typeof item !== 'object' || item === null) return item
    // `this` is the holder: everything below it on the stack is done.
    while (above.length > 0 && above.at(-1) !== this) above.pop()
    if (above.includes(item)) return '(circular)'
    above.push(item)
    return item
  })
}
