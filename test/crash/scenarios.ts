/** Real runs whose every state is a place to fail: what is made ready, and what is then done while the fault strikes. */
import type { Rig } from '../supervisor/rig.js'
import { tryKill, until } from '../supervisor/rig.js'

export interface Scenario {
  readonly name: string
  /** Before the fault is armed. */
  prepare(rig: Rig): Promise<void>
  /** Begins what the fault interrupts; resolves when it is under way, not when it has ended. */
  act(rig: Rig): Promise<void>
  /** Resolves when an undisturbed run has passed its last state. */
  finished(rig: Rig): Promise<void>
  /** Clients ask all the while, and none may be refused (INV-04). False where the service itself begins or ends. */
  readonly underLoad: boolean
}

const served = async (rig: Rig): Promise<void> => {
  await rig.start()
}

const swapTo = (name: string, first: string, second: string): Scenario => ({
  name,
  underLoad: true,
  async prepare(rig) {
    rig.build('v1', first)
    await rig.start()
    rig.build('v2', second)
  },
  async act(rig) {
    await rig.beginSwap()
  },
  finished: (rig) => until(async () => ((await rig.status()).lastSwap !== null ? true : null)).then(() => quiet(rig)),
})

/** Both processes of a swap have come to rest: the supervisor and one primitive live. */
const quiet = (rig: Rig): Promise<void> => until(() => (rig.living().length === 2 ? true : null)).then(() => {})

export const SCENARIOS: readonly Scenario[] = [
  {
    name: 'start',
    underLoad: false,
    prepare: async () => {},
    act: (rig) => rig.start({ wait: false }),
    finished: async (rig) => {
      await rig.served()
    },
  },
  swapTo('swap', '', ''),
  swapTo('undone after Ready', '', 'unhealthy'),
  swapTo('seal fails', 'seal-fails=1', ''),
  swapTo('drain fails', 'drain-fails=1', ''),
  swapTo('successor dies', '', 'crash-before-ready'),
  {
    name: 'adopt',
    underLoad: true,
    async prepare(rig) {
      await rig.start()
      await rig.killSupervisor()
    },
    act: (rig) => rig.start({ wait: false }),
    finished: async (rig) => {
      await rig.served()
    },
  },
  {
    name: 'start again',
    underLoad: false,
    prepare: served,
    async act(rig) {
      const { pid } = await rig.get()
      tryKill(pid, 'SIGKILL')
    },
    async finished(rig) {
      await until(async () => ((await rig.status()).restarts > 0 ? true : null))
      await rig.served()
    },
  },
  {
    name: 'stop',
    underLoad: false,
    prepare: served,
    async act(rig) {
      rig.supervisor?.kill('SIGTERM')
    },
    finished: (rig) => until(() => (rig.living().length === 0 ? true : null)).then(() => {}),
  },
]
