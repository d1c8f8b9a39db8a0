/**
 * The countable parts of a machine: every state node and every transition candidate, with names that survive.
 *
 * A path through the world says which of them it used, so a test can demand all of them and name the one that no
 * reachable state ever takes.
 */
import type { AnyStateMachine, AnyStateNode, AnyTransitionDefinition } from 'xstate'

export type TransitionKind = 'on' | 'after' | 'done' | 'error' | 'snapshot' | 'always'

/** One transition candidate. `id` is `<source> <trigger> #<index>`, e.g. `swap.awaitingReady after(readyTimeoutMs) #0`. */
export interface TransitionPart {
  readonly id: string
  readonly source: string
  readonly kind: TransitionKind
  /** The event descriptor as XState knows it, wildcards included; `always` for eventless ones. */
  readonly descriptor: string
  /** The descriptor as a reader wants it: `peer.ready`, `after(readyTimeoutMs)`, `done(seal)`, `always`. */
  readonly trigger: string
  readonly index: number
  /** Ids of the states it leads to; empty when it stays. */
  readonly targets: readonly string[]
  readonly guard?: string
  readonly actions: readonly string[]
}

export interface MachineParts {
  readonly name: string
  /** Ids of all state nodes: `<name>` for the root, `<name>.<path>` below. */
  readonly states: readonly string[]
  readonly transitions: readonly TransitionPart[]
  stateId(node: AnyStateNode): string
  /** The part a definition object belongs to; nothing for XState's own initial transition. */
  transitionId(definition: AnyTransitionDefinition): string | undefined
}

/** @param name prefix of every id; defaults to the machine's id. Two roles on one machine need two names. */
export function machineParts(machine: AnyStateMachine, name: string = machine.id): MachineParts {
  const stateIds = new Map<AnyStateNode, string>()
  const transitions: TransitionPart[] = []
  const idOfDefinition = new Map<AnyTransitionDefinition, string>()
  const stateId = (node: AnyStateNode) => stateIds.get(node) ?? [name, ...node.path].join('.')

  function addTransition(node: AnyStateNode, definition: AnyTransitionDefinition, descriptor: string, index: number) {
    const source = stateId(node)
    const { kind, trigger } = describe(node, descriptor)
    const id = `${source} ${trigger} #${index}`
    idOfDefinition.set(definition, id)
    const part = {
      id,
      source,
      kind,
      descriptor,
      trigger,
      index,
      targets: (definition.target ?? []).map((target) => stateId(target as AnyStateNode)),
      actions: definition.actions.map(nameOf),
    }
    transitions.push(definition.guard === undefined ? part : { ...part, guard: nameOf(definition.guard) })
  }

  function visit(node: AnyStateNode) {
    stateIds.set(node, stateId(node))
    for (const [descriptor, definitions] of node.transitions) {
      definitions.forEach((definition, index) => {
        addTransition(node, definition, descriptor, index)
      })
    }
    node.always?.forEach((definition, index) => {
      addTransition(node, definition, 'always', index)
    })
    for (const child of Object.values(node.states)) {
      visit(child as AnyStateNode)
    }
  }

  visit(machine.root)
  return {
    name,
    states: [...stateIds.values()],
    transitions,
    stateId,
    transitionId: (definition) => idOfDefinition.get(definition),
  }
}

function describe(node: AnyStateNode, descriptor: string): { kind: TransitionKind; trigger: string } {
  if (descriptor === 'always') {
    return { kind: 'always', trigger: 'always' }
  }
  const after = 'xstate.after.'
  if (descriptor.startsWith(after) && descriptor.endsWith(`.${node.id}`)) {
    return { kind: 'after', trigger: `after(${descriptor.slice(after.length, -node.id.length - 1)})` }
  }
  if (descriptor === `xstate.done.state.${node.id}`) {
    return { kind: 'done', trigger: 'onDone' }
  }
  for (const [prefix, kind] of [
    ['xstate.done.actor.', 'done'],
    ['xstate.error.actor.', 'error'],
    ['xstate.snapshot.', 'snapshot'],
  ] as const) {
    if (descriptor.startsWith(prefix)) {
      return { kind, trigger: `${kind}(${descriptor.slice(prefix.length)})` }
    }
  }
  return { kind: 'on', trigger: descriptor }
}

/** The name of an action or guard as it stands in a config: a string, an object with a type, or a function. */
export function nameOf(reference: unknown): string {
  if (typeof reference === 'string') {
    return reference
  }
  if (typeof reference === 'object' && reference !== null && 'type' in reference) {
    return String(reference.type)
  }
  if (typeof reference === 'function') {
    if ('guards' in reference && Array.isArray(reference.guards)) {
      return `${reference.name}(${reference.guards.map(nameOf).join(', ')})`
    }
    return 'type' in reference ? String(reference.type) : reference.name || '(inline)'
  }
  return '(unknown)'
}
