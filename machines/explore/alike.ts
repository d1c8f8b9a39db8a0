/**
 * Can anybody tell two machines apart? Both are walked with everything their alphabet may bring; where no sequence of
 * events leads to a different effect or a different view, they are the same machine in other words.
 */
import type { AnyStateMachine } from 'xstate'
import { type Alphabet, aloneWorld } from './alone.js'
import { canonical } from './canonical.js'
import type { SnapshotId, SnapshotView } from './machine-stepper.js'
import { initialStates } from './world.js'

/** What outsiders see of a snapshot, besides effects. */
export type Shows = (view: SnapshotView<AnyStateMachine>) => unknown

interface Behaviour {
  /** By node: what is seen of it. */
  readonly looks: readonly string[]
  /** By node: what each event leads to, and what is done meanwhile. */
  readonly edges: readonly (readonly { readonly key: string; readonly to: number }[])[]
  readonly starts: readonly number[]
}

const walked = new WeakMap<object, WeakMap<object, Behaviour>>()

/** @returns true when no sequence of events tells the two apart: bisimilar, by refinement of partitions. */
export function behaveAlike<M extends AnyStateMachine>(
  original: M,
  other: AnyStateMachine,
  alphabet: Alphabet<M>,
  shows: Shows,
): boolean {
  const known = walked.get(original) ?? new WeakMap<object, Behaviour>()
  walked.set(original, known)
  const left = known.get(alphabet) ?? walk(original, alphabet, shows)
  known.set(alphabet, left)
  const right = walk(other, alphabet, shows)
  const both = [left, right]
  let colours = both.map(({ looks }) => looks)
  for (let before = -1, now = countOf(colours); now !== before; before = now, now = countOf(colours)) {
    const palette = new Map<string, string>()
    colours = both.map(({ edges }, which) => {
      const own = colours[which] as readonly string[]
      return own.map((colour, node) => {
        const text = `${colour}>${(edges[node] ?? []).map(({ key, to }) => `${key}:${own[to]}`).join()}`
        if (!palette.has(text)) palette.set(text, `${palette.size}`)
        return palette.get(text) as string
      })
    })
  }
  const [ours = [], theirs = []] = colours
  return left.starts.every((node, at) => ours[node] === theirs[right.starts[at] as number])
}

const countOf = (colours: readonly (readonly string[])[]) => new Set(colours.flat()).size

function walk<M extends AnyStateMachine>(machine: AnyStateMachine, alphabet: Alphabet<M>, shows: Shows): Behaviour {
  const world = aloneWorld({ machine, alphabet, memory: { first: null, after: () => null }, contracts: [] } as never)
  const ids = new Map<SnapshotId, number>()
  const queue: { readonly snapshot: SnapshotId; readonly memory: unknown }[] = []
  const keys = new Map<string, string>()
  const looks: string[] = []
  const nodeOf = (state: (typeof queue)[number]) => {
    let node = ids.get(state.snapshot)
    if (node === undefined) {
      node = queue.length
      ids.set(state.snapshot, node)
      queue.push(state)
      const view = state.snapshot < 0 ? null : world.stepper.view(state.snapshot)
      looks.push(view === null ? 'not started' : canonical([view.status, view.output, shows(view)]))
    }
    return node
  }
  const starts = initialStates(world).map(nodeOf)
  const edges: { key: string; to: number }[][] = []
  for (let node = 0; node < queue.length; node++) {
    const out = [...world.steps(queue[node] as never)].map(({ label, next, moment }) => {
      return { key: `${label}${effectsKey(moment.effects, keys)}`, to: nodeOf(next) }
    })
    edges.push(out.sort((one, two) => (one.key < two.key ? -1 : 1)))
  }
  return { looks, edges, starts }
}

/** Effects by number within a walk would differ between walks: their text is what is compared. */
function effectsKey(effects: readonly unknown[], keys: Map<string, string>): string {
  if (effects.length === 0) return ''
  const text = JSON.stringify(effects)
  let key = keys.get(text)
  if (key === undefined) {
    key = canonical(effects)
    keys.set(text, key)
  }
  return key
}
