/** Clients in the world: they connect, ask, hang up whenever they like, and are answered by whoever has read what they asked. */
import type { Change, StepKind } from '../../explore/index.js'
import { answer, arrive, connect, follow, hangUp, letGo } from './connections.js'
import { Draft } from './draft.js'
import { whoAnswers } from './kernel.js'
import { type Makers, nameOf } from './primitive.js'
import { NONE } from './slot.js'
import { type HandoffState, isOnLoop } from './state.js'
import type { Connection } from './traffic.js'

/** Answers on their way: like a hook of the daemon they may take long, and block nobody's loop. */
export function* answerSteps(state: HandoffState, makers: Makers): Generator<Change<HandoffState>> {
  for (const [index, { request, takenBy }] of state.traffic.connections.entries()) {
    if (request !== 'taken' || !isOnLoop(state, takenBy)) continue
    const label = `${nameOf(takenBy)}.answers#${index}`
    yield step(state, makers, label, 'progress', (draft) => {
      const { accepting, job } = draft.primitive(takenBy)
      answer(draft, index, accepting || makers.players.job(job)?.src === 'finishConnections')
    })
  }
}

/** What rests in a program that lingers follows to the one that serves. */
export function* followSteps(state: HandoffState, makers: Makers): Generator<Change<HandoffState>> {
  const { players, settings } = makers
  for (const [index, { request, reads }] of state.traffic.connections.entries()) {
    if (reads === 0 || request === 'taken') continue
    const slot = state.primitives.findIndex(
      (primitive, at) => (reads & (1 << at)) !== 0 && players.job(primitive?.job ?? NONE)?.src === 'finishConnections',
    )
    const successor = whoAnswers(state, players)
    if (slot === -1 || successor === NONE || successor === slot || !isOnLoop(state, slot)) continue
    const label = `${nameOf(slot)}.hands over#${index}`
    yield step(state, makers, label, 'progress', (draft) => follow(draft, index, slot, successor))
    if (state.budgets.faults === 0 || !settings.faultKinds.has('io')) continue
    yield step(state, makers, `${label}:fails`, 'fault', (draft) => {
      draft.spend('faults')
      letGo(draft, index, slot)
    })
  }
}

export function* clientSteps(state: HandoffState, makers: Makers): Generator<Change<HandoffState>> {
  for (const [index, connection] of state.traffic.connections.entries()) {
    for (const [does, change] of wishes(state, connection)) {
      yield step(state, makers, `client#${index}.${does}`, 'trigger', (draft) => change(draft, index))
    }
  }
}

type Wish = readonly [does: string, change: (draft: Draft, index: number) => void]

function wishes(state: HandoffState, { phase, request }: Connection): Wish[] {
  if (phase === 'over') return []
  if (phase === 'absent') {
    const slot = state.primitives.findIndex((primitive, at) => primitive?.accepting === true && isOnLoop(state, at))
    return slot === -1 ? [] : [['connects', (draft, index) => connect(draft, index, slot)]]
  }
  const asks: Wish[] = request === 'none' ? [['asks', arrive]] : []
  return [...asks, ['hangs up', hangUp]]
}

function step(
  state: HandoffState,
  { players, pools }: Makers,
  label: string,
  kind: StepKind,
  change: (draft: Draft) => void,
): Change<HandoffState> {
  const draft = new Draft(state, players, pools)
  change(draft)
  return draft.finish(label, kind)
}
