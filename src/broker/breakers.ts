/** One breaker and one count of handoffs in flight for each handoff endpoint (W7). */
import { type Actor, createActor } from 'xstate'
import { breakerMachine } from '../../machines/broker/breaker.machine.js'
import type { Reason } from '../../machines/broker/outcomes.js'
import type { BrokerPolicy } from '../../machines/broker/policy.js'

interface Lane {
  /** Made with the first failure. */
  breaker: Actor<typeof breakerMachine> | null
  inFlight: number
}

export interface LaneView {
  readonly inFlight: number
  /** Left alone after too many failures. */
  readonly open: boolean
}

/** What a backend cannot help is no reason to leave it alone. */
const NOT_ITS_FAULT: ReadonlySet<Reason> = new Set(['hungUp', 'breakerOpen', 'tooMany', 'stopped', 'tokenGone'])

export class Breakers {
  readonly #lanes = new Map<string, Lane>()

  constructor(
    readonly policy: BrokerPolicy,
    readonly onChange: (endpoint: string, open: boolean) => void,
  ) {}

  /** Null lets one handoff in, which must be ended with {@link leave}. */
  enter(endpoint: string): Reason | null {
    let lane = this.#lanes.get(endpoint)
    if (lane === undefined) {
      lane = { breaker: null, inFlight: 0 }
      this.#lanes.set(endpoint, lane)
    }
    if (lane.breaker?.getSnapshot().hasTag('open') === true) return 'breakerOpen'
    if (lane.inFlight >= this.policy.maxHandoffs) return 'tooMany'
    lane.inFlight += 1
    return null
  }

  leave(endpoint: string, failure: Reason | null): void {
    const lane = this.#lanes.get(endpoint)
    if (lane === undefined) return
    lane.inFlight -= 1
    if (failure === null) lane.breaker?.send({ type: 'handoff.succeeded' })
    else if (!NOT_ITS_FAULT.has(failure)) {
      lane.breaker ??= this.#start(endpoint)
      lane.breaker.send({ type: 'handoff.failed' })
    }
  }

  look(endpoint: string): LaneView {
    const lane = this.#lanes.get(endpoint)
    return { inFlight: lane?.inFlight ?? 0, open: lane?.breaker?.getSnapshot().hasTag('open') ?? false }
  }

  stop(): void {
    for (const { breaker } of this.#lanes.values()) breaker?.stop()
    this.#lanes.clear()
  }

  #start(endpoint: string): Actor<typeof breakerMachine> {
    const breaker = createActor(breakerMachine, { input: this.policy })
    let open = false
    breaker.subscribe((snapshot) => {
      if (snapshot.hasTag('open') === open) return
      open = !open
      this.onChange(endpoint, open)
    })
    return breaker.start()
  }
}
