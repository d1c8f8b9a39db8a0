/** The wire messages of a swap, read off the supervisor's own machine: what it said, what it heard, what it saw. */

export type Party = 'supervisor' | 'incumbent' | 'successor'

export interface Step {
  readonly from: Party
  readonly to: Party
  /** `PrepareHandoff`, `Drained`, … or `exited`, `hung up`, `answers`. */
  readonly what: string
  /** A message, or something that was noticed. */
  readonly kind: 'message' | 'notice'
}

const HEARD: Readonly<Record<string, string>> = {
  'incumbent.greeted': 'Hello',
  'incumbent.drained': 'Drained',
  'incumbent.sealed': 'SealComplete',
  'incumbent.sealFailed': 'SealFailed',
  'successor.greeted': 'Hello',
  'successor.becameReady': 'Ready',
}
const SEEN: Readonly<Record<string, string>> = {
  exited: 'process ended',
  disconnected: 'connection ended',
  violatedProtocol: 'broke the protocol',
  becameUnhealthy: 'stopped answering',
}

/** An event that reached the swap machine. Null: nothing that a chart of the exchange shows. */
export function stepHeard(event: { readonly type: string; readonly output?: unknown }): Step | null {
  const heard = HEARD[event.type]
  const [who = '', did = ''] = event.type.split('.')
  if (who === 'incumbent' || who === 'successor') {
    if (heard !== undefined) return { from: who, to: 'supervisor', what: heard, kind: 'message' }
    const seen = SEEN[did]
    return seen === undefined ? null : { from: who, to: 'supervisor', what: seen, kind: 'notice' }
  }
  if (event.type === 'operator.cancelled') return own('cancelled by the operator')
  if (event.type === 'xstate.done.actor.spawnSuccessor')
    return { from: 'supervisor', to: 'successor', what: 'starts', kind: 'notice' }
  if (/^xstate\.after\./.test(event.type)) return own(`${event.type.split('.')[2]} passed`)
  if (/^xstate\.error\.actor\./.test(event.type)) return own(`${event.type.slice('xstate.error.actor.'.length)} failed`)
  return null
}

/** An action of the swap machine. */
export function stepSaid(type: string, params: unknown): Step | null {
  const { kind, signal } = (params ?? {}) as { kind?: string; signal?: string }
  const to = /Incumbent$/.test(type) ? 'incumbent' : /Successor$/.test(type) ? 'successor' : null
  if (to === null) return null
  if (type.startsWith('sendTo') && kind !== undefined) return { from: 'supervisor', to, what: kind, kind: 'message' }
  if (type.startsWith('signal') && signal !== undefined) return { from: 'supervisor', to, what: signal, kind: 'notice' }
  return null
}

/** Somebody proved on the control path that it serves. */
export const stepProven = (role: 'incumbent' | 'successor'): Step => ({
  from: role,
  to: 'supervisor',
  what: 'answers on the control path',
  kind: 'notice',
})

const own = (what: string): Step => ({ from: 'supervisor', to: 'supervisor', what, kind: 'notice' })
