/** What operators and whoever watches a supervisor ask of it, and what it answers. */
import { ask } from '../../src/cli/trigger-client.js'
import { tryKill } from '../supervisor/rig.js'
import type { Company } from './company.js'
import { isStopped } from './stage.js'

export class Orders {
  readonly #company: Company
  /** Of the swap that was asked for last: one that a supervisor took to its grave is never answered. */
  #outcome: Promise<string | null> | null = null

  constructor(company: Company) {
    this.#company = company
  }

  async give(label: string): Promise<void> {
    const stage = this.#company.stage
    switch (label) {
      case 'restart:S':
        await stage.startSupervisor()
        return
      case 'stall:S':
        tryKill(this.#company.supervisor().pid, 'SIGSTOP')
        await stage.until(() => isStopped(stage.supervisorPid), 'the supervisor does not stop')
        return
      case 'cont:S':
        tryKill(this.#company.supervisor().pid, 'SIGCONT')
        return
      case 'swap.requested':
        this.#outcome = outcomeOf(ask(stage.rig.trigger, { cmd: 'swap' }))
        await this.#company.release(this.#company.supervisor(), 'supervisor', label)
        return
      case 'swap.requested:inVain':
        // Its promise would be refused before; who drives the door's actor is told by the machine.
        await this.#company.supervisor().ask('send', { machine: 'supervisor', event: { type: 'swap.requested' } })
        return
      case 'operator.reconfigured:inVain':
        tryKill(stage.supervisorPid, 'SIGHUP')
        await this.#company.release(this.#company.supervisor(), 'supervisor', 'operator.reconfigured')
        return
      case 'rehearsal.requested':
        void outcomeOf(ask(stage.rig.trigger, { cmd: 'rehearse' }))
        await this.#company.release(this.#company.supervisor(), 'supervisor', label)
        return
      case 'operator.left':
        void outcomeOf(ask(stage.rig.trigger, { cmd: 'leave' }))
        await this.#company.release(this.#company.supervisor(), 'supervisor', label)
        return
      case 'operator.stopped': {
        const puppet = this.#company.supervisor()
        // After a leaving that waits the first signal says nothing new, the second one ends at once.
        await stage.untilWith(
          () => tryKill(puppet.pid, 'SIGTERM'),
          () => puppet.holds('supervisor', label),
          'the supervisor hears no SIGTERM',
        )
        await this.#company.release(puppet, 'supervisor', label)
        return
      }
      default:
        throw new Error(`nobody knows how to do ${label}`)
    }
  }

  /** @throws Error when the swap is told to have come to something else. */
  async isAnswered(result: string | undefined): Promise<void> {
    const outcome = await this.#outcome
    if (outcome !== result) throw new Error(`it reports ${outcome}, the model ${result}`)
  }
}

/** What a swap is reported to have come to; null when the supervisor did not live to tell. */
async function outcomeOf(answers: ReturnType<typeof ask>): Promise<string | null> {
  try {
    for await (const answer of answers) if (answer.event === 'outcome') return answer.outcome.result
  } catch {
    // It was stopped, or killed.
  }
  return null
}
