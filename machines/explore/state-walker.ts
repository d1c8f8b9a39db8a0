/** Walks through a world of whole states: each is looked at once and dropped. */
import type { StateId } from './graph.js'
import type { Search, Walker } from './search.js'
import { createStateIndex } from './state-index.js'
import type { Step } from './world.js'

export function createStateWalker<S>(search: Search<S>): Walker {
  const { world, initial, always, onEdge, marks, wanted, wantedOnEdge, witnesses, store, journal, log, kept } = search
  const index = createStateIndex(world.key(initial[0] as S))
  // The only place that holds whole states.
  let level: S[] = []
  let nextLevel: S[] = []
  let at = 0

  function discover(state: S, id: StateId, parentEdge: number): void {
    store.parentEdges.push(parentEdge)
    let bits = 0
    for (let bit = 0; bit < marks.length; bit++) {
      if ((marks[bit] as (typeof marks)[number])[1](state)) {
        bits |= 1 << bit
      }
    }
    store.marks.push(bits)
    kept?.push(state)
    nextLevel.push(state)
    for (const property of always) {
      const verdict = property.holds(state)
      if (verdict !== true) {
        log.add(property, 'always', verdict, { state: id })
      }
    }
    for (const property of wanted) {
      if (property.holds(state)) {
        witnesses.set(property.id, { state: id })
        wanted.delete(property)
      }
    }
  }

  function checkEdge(from: S, step: Step<S>, edge: number): void {
    for (const property of onEdge) {
      const verdict = property.holds(from, step)
      if (verdict !== true) {
        log.add(property, 'edge', verdict, { edge })
      }
    }
    for (const property of wantedOnEdge) {
      if (property.holds(from, step)) {
        witnesses.set(property.id, { edge })
        wantedOnEdge.delete(property)
      }
    }
  }

  function take(): S {
    if (at === level.length) {
      ;[level, nextLevel, at] = [nextLevel, [], 0]
    }
    const state = level[at] as S
    level[at++] = undefined as S
    return state
  }

  return {
    begin() {
      initial.forEach((state, nth) => {
        const before = index.size
        const id = index.add(world.key(state))
        if (id === before) {
          store.initialIndex.push(nth)
          discover(state, id, -1)
        }
      })
    },
    expand(id) {
      const state = take()
      for (const step of world.steps(state)) {
        const before = index.size
        const target = index.add(world.key(step.next))
        const edge = journal.add(id, target, step)
        if (target === before) {
          discover(step.next, target, edge)
        }
        if (onEdge.length + wantedOnEdge.size > 0) {
          checkEdge(state, step, edge)
        }
      }
    },
    get size() {
      return index.size
    },
    get bytes() {
      return index.bytes
    },
    get parts() {
      return index.parts
    },
  }
}
