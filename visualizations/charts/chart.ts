/** A machine's definition as a chart: boxes with what they do, arrows with what leads from one to the other. */
import type { AnyStateNode, AnyTransitionDefinition } from 'xstate'
import { nameOf } from '../../machines/explore/machine-parts.js'
import type { ChartSource } from './machines.js'
import { actorText, delayText, effectText, guardText, type Trigger, triggerOf } from './words.js'

/** `on`: the way forward. `back`: something went wrong. `order`: somebody asked for it. `stay`: the state is not left. */
export type Manner = 'on' | 'back' | 'order' | 'stay'

/** One or more events with the same consequence. */
export interface Cause {
  readonly manner: Manner
  readonly when: string
  readonly guard: string
  readonly effects: readonly string[]
  /** Id of a state; the own one when it is entered anew, null when nothing is left. */
  readonly to: string | null
}

export interface ChartState {
  readonly id: string
  readonly name: string
  readonly kind: 'atomic' | 'compound' | 'final'
  readonly isInitial: boolean
  readonly isBack: boolean
  readonly tags: readonly string[]
  readonly entry: readonly string[]
  readonly exit: readonly string[]
  readonly actors: readonly string[]
  readonly causes: readonly Cause[]
  readonly children: readonly ChartState[]
}

export interface Chart {
  readonly name: string
  readonly says: string
  readonly root: ChartState
}

/** Events by which people, and not the protocol, end something. */
const ORDER = /^(operator|process|caller)\.|^(broker|backend)\.(stop|drain|resume)/
/** Notes that say: this went wrong. */
const BLAME = /^note(Failure|Exit|Fault)$|^countFailure$/

export function chartOf(source: ChartSource): Chart {
  const { machine, input, variants } = source
  const back = new Set(source.back.map((path) => `${machine.id}.${path}`))
  const isBack = (node: AnyStateNode): boolean =>
    back.has(pathOf(node)) || (node.parent !== undefined && isBack(node.parent))

  const mannerOf = (node: AnyStateNode, trigger: Trigger, definition: AnyTransitionDefinition): Manner => {
    const targets = definition.target as readonly AnyStateNode[] | undefined
    if (targets === undefined || (targets[0] !== undefined && idOf(targets[0]) === idOf(node))) return 'stay'
    if (trigger.kind === 'on' && ORDER.test(trigger.name)) return 'order'
    const isBlamed = definition.actions.map(nameOf).some((name) => BLAME.test(name))
    const isFailure = trigger.kind === 'error' || trigger.name.endsWith('.failed')
    return isFailure || isBlamed || isBack(node) || targets.some(isBack) ? 'back' : 'on'
  }

  const whenOf = ({ kind, name }: Trigger) =>
    kind === 'after'
      ? `after ${delayText(machine, name, input, variants)}`
      : kind === 'error'
        ? `${name} fails`
        : `${name} ${kind === 'done' ? 'done' : ''}`.trim()

  const effectsOf = (actions: readonly unknown[]) =>
    actions.map((action) => effectText(machine, action)).filter((text) => text !== null)

  function causesOf(node: AnyStateNode): Cause[] {
    const definitions = [
      ...[...node.transitions].flatMap(([descriptor, all]) => candidates(descriptor, all)),
      ...candidates('always', node.always ?? []),
    ]
    return definitions.flatMap(({ descriptor, definition, earlier }): Cause[] => {
      const trigger = triggerOf(node, descriptor)
      const target = (definition.target as readonly AnyStateNode[] | undefined)?.[0]
      const effects = effectsOf(definition.actions)
      // An event that is heard and changes nothing but a note is no arrow.
      if (target === undefined && effects.length === 0) return []
      const manner = mannerOf(node, trigger, definition)
      // Forward is what one expects; only among several ways forward the last one needs the word.
      const rivals = manner === 'on' ? earlier.filter((other) => mannerOf(node, trigger, other) === 'on') : earlier
      const isElse = definition.guard === undefined && rivals.length > 0
      return [
        {
          manner,
          when: `${whenOf(trigger)} ${isElse ? '(else)' : ''}`.trim(),
          guard: guardText(definition.guard),
          effects,
          to: target === undefined ? null : idOf(target),
        },
      ]
    })
  }

  function stateOf(node: AnyStateNode): ChartState {
    const inner = onlyChild(node)
    const all = inner === null ? [node] : [node, inner]
    const children = inner === null ? (Object.values(node.states) as AnyStateNode[]).map(stateOf) : []
    return {
      id: idOf(node),
      name: node.key,
      kind: children.length > 0 ? 'compound' : node.type === 'final' ? 'final' : 'atomic',
      isInitial: node.parent?.initial.target.includes(node as never) ?? false,
      isBack: isBack(node),
      tags: all.flatMap(({ tags }) => tags),
      entry: all.flatMap(({ entry }) => effectsOf(entry)),
      exit: all.flatMap(({ exit }) => effectsOf(exit)),
      actors: all.flatMap(({ invoke }) => invoke.map(actorText)),
      causes: merged(all.flatMap(causesOf)),
      children,
    }
  }

  return { name: source.name, says: source.says, root: stateOf(machine.root) }
}

const candidates = (descriptor: string, all: readonly AnyTransitionDefinition[]) =>
  all.map((definition, index) => ({ descriptor, definition, earlier: all.slice(0, index) }))

const pathOf = (node: AnyStateNode): string => [node.machine.id, ...node.path].join('.')

/** A state with a single one inside is drawn as one box: the inner one only restarts a clock. */
const onlyChild = (node: AnyStateNode): AnyStateNode | null => {
  const children = Object.values(node.states) as AnyStateNode[]
  return children.length === 1 && node.parent !== undefined ? (children[0] as AnyStateNode) : null
}

const idOf = (node: AnyStateNode): string =>
  node.parent !== undefined && onlyChild(node.parent) === node ? pathOf(node.parent) : pathOf(node)

/** Events with the same consequence as one cause, in the order of their first; `a.x`, `a.y` become `a: x, y`. */
function merged(causes: readonly Cause[]): Cause[] {
  const groups = new Map<string, Cause[]>()
  for (const cause of causes) {
    const key = JSON.stringify([cause.manner, cause.guard, cause.effects, cause.to])
    groups.set(key, [...(groups.get(key) ?? []), cause])
  }
  return [...groups.values()].map((group) => ({ ...(group[0] as Cause), when: listed(group.map(({ when }) => when)) }))
}

function listed(events: readonly string[]): string {
  const names = new Map<string, string[]>()
  for (const event of new Set(events)) {
    const dotted = /^(\w+)\.(\w+(?: \(else\))?)$/.exec(event)
    const [who, what] = dotted === null ? ['', event] : [dotted[1] as string, dotted[2] as string]
    names.set(who, [...(names.get(who) ?? []), what])
  }
  return [...names]
    .map(([who, what]) =>
      who === '' ? what.join(', ') : what.length === 1 ? `${who}.${what[0]}` : `${who}: ${what.join(', ')}`,
    )
    .join('; ')
}
