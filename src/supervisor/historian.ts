/** Watches a supervisor as anybody could, by its status and its machines, and writes down what an operator asks for later. */
import type { AnyActorRef, InspectionEvent } from 'xstate'
import { type Step, stepHeard, stepProven, stepSaid } from '../observe/exchange.js'
import { HistoryFile, type RecordedStep } from '../observe/history.js'
import type { Logger } from '../observe/log.js'
import type { ProcessFacts, SupervisorOptions, SupervisorStatus } from './types.js'

/** Steps kept of one swap. An honest one has about fifteen. */
const MAX_STEPS = 200

/** Beside the journal, unless the options name another place. */
export const historyPath = ({ history, journal }: Pick<SupervisorOptions, 'history' | 'journal'>): string | null =>
  history ?? (journal === undefined ? null : `${journal}.history`)

export class Historian {
  readonly #file: HistoryFile
  #steps: RecordedStep[] = []
  #began = 0
  #undoing = false
  #incumbent: ProcessFacts | null = null
  #told: string | null = null
  #swapped = false
  #first = true

  constructor(path: string, log: Logger) {
    this.#file = new HistoryFile(path, log)
  }

  settled(): Promise<void> {
    return this.#file.settled()
  }

  /** For `inspect` of createActor. */
  observe(event: InspectionEvent): void {
    if ((event.actorRef as AnyActorRef).id !== 'swap') return
    if (event.type === '@xstate.actor') {
      this.#steps = []
      this.#began = performance.now()
      this.#undoing = false
    } else if (event.type === '@xstate.snapshot') {
      this.#undoing = JSON.stringify((event.snapshot as { value?: unknown }).value).includes('undoing')
    } else if (event.type === '@xstate.action') this.#note(stepSaid(event.action.type, event.action.params))
    else if (event.type === '@xstate.event') {
      const isProof = event.event.type === 'xstate.done.actor.confirmServing'
      this.#note(isProof ? stepProven(this.#undoing ? 'incumbent' : 'successor') : stepHeard(event.event))
    }
  }

  /** For `subscribe` of a supervisor. */
  follow(status: SupervisorStatus): void {
    const common = { v: 1, at: new Date().toISOString(), supervisorPid: status.pid } as const
    if (status.swap !== null) this.#swapped = true
    if (status.lastSwap !== null && status.lastSwap.handoffId !== this.#told) {
      this.#told = status.lastSwap.handoffId
      // One that its supervisor did not live to tell has no steps of ours.
      const steps = this.#swapped ? this.#steps : []
      this.#file.append({ kind: 'swap', ...common, ...status.lastSwap, steps })
      this.#incumbent = status.lastSwap.incumbent
      this.#first = false
    }
    const { swap, incumbent, lastSwap } = status
    // The verdict is known a moment before the status names the new process.
    const isStale = lastSwap?.result === 'committed' && lastSwap.previous?.pid === incumbent?.pid
    if (swap !== null || isStale || incumbent?.pid === this.#incumbent?.pid) return
    const previous = this.#incumbent
    this.#incumbent = incumbent
    if (incumbent === null) {
      if (previous !== null) this.#file.append({ kind: 'down', ...common, previous: facts(previous) })
      return
    }
    const how = !this.#first ? 'restarted' : status.started === 0 ? 'adopted' : 'started'
    this.#first = false
    this.#file.append({ kind: 'serving', ...common, how, incumbent: facts(incumbent) })
  }

  #note(step: Step | null): void {
    if (step === null || this.#steps.length >= MAX_STEPS) return
    this.#steps.push({ ...step, ms: Math.round((performance.now() - this.#began) * 100) / 100 })
  }
}

const facts = ({ pid, buildId }: ProcessFacts) => ({ pid, buildId })
