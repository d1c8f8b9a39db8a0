/**
 * Leads real processes along a path of the model, label by label: each step is done for real (a hook runs, a frame arrives,
 * a limit passes, a process is killed), and after it the machines' states and the world's facts are compared with the model's.
 */
import type { SwapOutput } from '../../machines/handoff/swap.machine.js'
import type { HandoffState } from '../../machines/handoff/world/index.js'
import { tryKill } from '../supervisor/rig.js'
import { Company } from './company.js'
import { compare } from './compare.js'
import type { Course, Run } from './course.js'
import { greetingHears, primitiveHears, supervisorHears } from './hearing.js'
import { beginDoomed, primitiveDoes, supervisorDoes } from './jobs.js'
import { pass } from './limits.js'
import { Orders } from './orders.js'
import { burstOut, meddle } from './outbursts.js'
import { isEnded, Stage } from './stage.js'
import { busyOne, isAtOnce } from './stepwise.js'

export class Walk {
  readonly #company: Company
  readonly #orders: Orders
  #state: HandoffState

  private constructor(company: Company) {
    this.#company = company
    this.#orders = new Orders(company)
    this.#state = company.world.initial() as HandoffState
  }

  /** @param patienceMs longest that anything may take which must come */
  static async along({ world, labels, variant }: Course, patienceMs = 60_000): Promise<Run> {
    const stage = await Stage.create(world.settings, patienceMs)
    const walk = new Walk(new Company(world, stage, variant ?? null))
    let steps = 0
    let wrong: string | null = null
    try {
      const states = walk.#statesAlong(labels)
      for (const [at, label] of labels.entries()) {
        await walk.#step(label, at, labels, states)
        steps += 1
      }
    } catch (error) {
      const text = error instanceof Error ? error.message : String(error)
      wrong = `at ${steps} ${labels[steps] ?? 'rest'}: ${text}\n${stage.told()}`
    }
    return { wrong, steps, trace: stage.trace, end: () => stage.end() }
  }

  #statesAlong(labels: readonly string[]): HandoffState[] {
    let state = this.#state
    return labels.map((label) => {
      const step = [...this.#company.world.steps(state)].find((one) => one.label === label)
      if (step === undefined) throw new Error(`the model has no ${label} here`)
      state = step.next
      return state
    })
  }

  async #step(label: string, at: number, labels: readonly string[], states: readonly HandoffState[]): Promise<void> {
    const before = this.#state
    const after = states[at] as HandoffState
    // What a record or a removal of the journal meets must be so before it is asked for.
    if (labels.slice(at + 1).find((next) => !/^S!/.test(next)) === 'S:journal:fails') this.#company.stage.spoilJournal()
    await this.#commit(label, before, after)
    this.#state = after
    if (busyOne(after) !== null || isAtOnce(labels[at + 1] ?? '')) return
    await compare(this.#company, after)
    await beginDoomed(this.#company, at, labels, states)
  }

  async #commit(label: string, before: HandoffState, after: HandoffState): Promise<void> {
    const company = this.#company
    if (label === company.variant?.label) return await this.#happenOtherwise(label, before)
    const [, limit] = /^(?:early:)?(.*~.*|S:watchSuccessor:misses|S:retire\..*)$/.exec(label) ?? []
    if (limit !== undefined) return await pass(company, limit, before)
    if (label.startsWith('kill:')) return await this.#kill(label.slice(5))
    if (label.startsWith('strange:')) return await burstOut(company, label.slice('strange:'.length), before)
    if (label.startsWith('meddling:')) return await meddle(company, label.slice('meddling:'.length), before)
    const [, whose, kind, rest] = /^([A-HS])([.!<:])(.*)$/.exec(label) ?? []
    if (whose === undefined || rest === undefined) return await this.#orders.give(label)
    if (kind === '!') return await this.#effect(whose, rest, before)
    if (kind === '<')
      return whose === 'S'
        ? await supervisorHears(company, rest, before)
        : await primitiveHears(company, whose, rest, before)
    if (kind === '.') return await greetingHears(company, whose, rest)
    if (whose === 'S') return await supervisorDoes(company, rest, before, after)
    return await primitiveDoes(company, whose, rest, before)
  }

  async #happenOtherwise(label: string, before: HandoffState): Promise<void> {
    if (this.#company.variant?.happens === 'otherHello')
      return await this.#company.release(this.#company.supervisor(), 'swap', 'incumbent.greeted')
    const [whose = '', what = ''] = label.split(/:(.*)/)
    return await primitiveDoes(this.#company, whose, `${what.split(':')[0]}:otherData`, before)
  }

  /** It happened with the machine's step; what others see of it may take a moment. */
  async #effect(whose: string, effect: string, before: HandoffState): Promise<void> {
    if (whose !== 'S') {
      if (effect === 'closeSession')
        await this.#company.of(whose).ask('discard', { machine: 'incumbent', prefix: 'supervisor.' })
      return
    }
    const puppet = this.#company.supervisor()
    if (effect === 'closeIncumbentSession') await puppet.ask('discard', { machine: 'swap', prefix: 'incumbent.' })
    if (effect === 'closeSuccessorChannel') await puppet.ask('discard', { machine: 'swap', prefix: 'successor.' })
    if (effect !== 'reportOutcome') return
    const { players } = this.#company.world
    const said = players.firstOf(before.supervisor.outbox) as { readonly params: SwapOutput } | undefined
    await this.#orders.isAnswered(said?.params.result)
  }

  async #kill(whose: string): Promise<void> {
    const { stage } = this.#company
    const pid = whose === 'S' ? stage.supervisorPid : this.#company.of(whose).pid
    tryKill(pid, 'SIGKILL')
    await stage.until(() => isEnded(pid), `${whose} does not die`)
  }
}
