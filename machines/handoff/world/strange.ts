/**
 * What a peer may say out of turn: every message of the alphabet, a Hello that names another process or a version that
 * nobody speaks, a message that is not for this ear, and bytes that are no message.
 *
 * Not here: a peer that lies about serving when somebody looks at the control path. Nothing could be proven to anybody then.
 */
import type { FromIncumbent, FromSuccessor, ToIncumbent, ToSuccessor } from '../messages.js'
import type { Frames, Role } from './state.js'

/** A frame that the tables of `translate` do not know, with what it means to its reader. */
export interface StrangeFrame {
  readonly kind: string
  readonly means: { readonly type: string }
  /** Not a frame at all: its reader reads nothing more from this stream, not even its end. */
  readonly deafens?: true
}

/** Alone in a queue that is read no more. */
export const DEAF = -1

export const isHeard = (frames: Frames): boolean => frames[0] !== DEAF

export const isStrange = (message: { readonly kind: string }): message is StrangeFrame => 'means' in message

/** What is written into a queue that nobody reads is lost. */
export const behind = (frames: Frames, message: number): Frames => (isHeard(frames) ? [...frames, message] : frames)

const NOBODYS_PID = 0

type Speaker = 'incumbent' | 'successor' | 'supervisor'

const nonsense = (speaker: Speaker): StrangeFrame[] => [
  { kind: 'foreign', means: { type: `${speaker}.violatedProtocol` } },
  { kind: 'garbage', means: { type: `${speaker}.violatedProtocol` }, deafens: true },
]

const hellos = (speaker: 'incumbent' | 'successor'): StrangeFrame[] => {
  const greeted = { type: `${speaker}.greeted`, ...(speaker === 'incumbent' && { session: 'many' }) }
  return [
    { kind: 'Hello.otherPid', means: { ...greeted, pid: NOBODYS_PID, versionOk: true } as StrangeFrame['means'] },
    { kind: 'Hello.otherVersion', means: { ...greeted, pid: NOBODYS_PID, versionOk: false } as StrangeFrame['means'] },
  ]
}

const wrongAck: StrangeFrame = {
  kind: 'HelloAck.otherVersion',
  means: { type: 'supervisor.acknowledged', versionOk: false } as StrangeFrame['means'],
}

/** A supervisor owes no Heartbeat; ours never sends one. */
const beat: StrangeFrame = { kind: 'Heartbeat', means: { type: 'supervisor.beat' } }

type Said = FromIncumbent | FromSuccessor | ToIncumbent | ToSuccessor | { readonly kind: 'Hello' } | StrangeFrame

const SEALED = { revisions: ['5'], fingerprint: null } as const

const BY_PRIMITIVE: Readonly<Record<Role, readonly Said[]>> = {
  incumbent: [
    { kind: 'Hello' },
    ...hellos('incumbent'),
    { kind: 'Drained', openConnections: 0, acceptClosed: true },
    { kind: 'Drained', openConnections: 0, acceptClosed: false },
    { kind: 'SealComplete', ...SEALED },
    { kind: 'SealFailed', failure: 'ERR_HANDOFF_SEAL_FAILED' },
    { kind: 'Heartbeat' },
    ...nonsense('incumbent'),
  ],
  successor: [
    { kind: 'Hello' },
    ...hellos('successor'),
    { kind: 'Ready', healthy: true, ...SEALED },
    { kind: 'Heartbeat' },
    ...nonsense('successor'),
  ],
}

/** @param successorPid what a PrepareHandoff out of turn names. */
const bySupervisor = (to: Role, successorPid: number): readonly Said[] => [
  { kind: 'HelloAck' },
  wrongAck,
  ...(to === 'incumbent'
    ? ([
        { kind: 'PrepareHandoff', successorPid },
        { kind: 'SealRequest' },
        { kind: 'ResumeAfterAbort' },
      ] as const satisfies ToIncumbent[])
    : ([{ kind: 'Begin' }] as const satisfies ToSuccessor[])),
  { kind: 'Commit' },
  { kind: 'Abort', failure: 'ERR_HANDOFF_CANCELLED' },
  beat,
  ...nonsense('supervisor'),
]

/** Names that tell apart what a peer may say out of turn, with the words. */
export type Outburst = readonly [name: string, said: Said]

const named = (said: readonly Said[]): Outburst[] =>
  said.map((message) => [
    'acceptClosed' in message && !message.acceptClosed ? `${message.kind}.stillAccepting` : message.kind,
    message,
  ])

const byPrimitive = { incumbent: named(BY_PRIMITIVE.incumbent), successor: named(BY_PRIMITIVE.successor) }

export const primitiveOutbursts = (role: Role): readonly Outburst[] => byPrimitive[role]

export const supervisorOutbursts = (to: Role, successorPid: number): readonly Outburst[] =>
  named(bySupervisor(to, successorPid))
