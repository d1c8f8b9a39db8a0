/** Real runs whose every state is a place to fail: what is made ready, and what is then done while the fault strikes. */
import type { Rig } from '../supervisor/rig.js'
import { tryKill, until } from '../supervisor/rig.js'

/** Limits of a run that is killed: short where somebody waits for the dead, long where a slow machine must not end the run. */
const KILLED = {
  deadline_secs: 10,
  drain_grace_secs: 1,
  liveness_secs: 5,
  greeting_secs: 5,
  boot_secs: 20,
  confirm_secs: 2,
  resume_secs: 4,
  settle_secs: 8,
  stable_secs: 0.2,
  kill_grace_secs: 0.3,
  linger_secs: 1,
  stop_grace_secs: 3,
  respawn_backoff_ms: 20,
}

/** Short limits everywhere: what is stopped for {@link STOPPED_MS} is past every one of them. */
const STOPPED = { ...KILLED, deadline_secs: 4, liveness_secs: 2, greeting_secs: 2, boot_secs: 5 }

export function limitsUnder(fault: 'SIGKILL' | 'SIGSTOP'): string {
  return Object.entries(fault === 'SIGKILL' ? KILLED : STOPPED)
    .map(([name, value]) => `${name} = ${value}`)
    .join('\n')
}

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

/** Null while none answers: on a drowned machine that may take longer than a question waits. */
const statusOf = (rig: Rig) => rig.status().catch(() => null)

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
  finished: (rig) => until(async () => (await statusOf(rig))?.lastSwap).then(() => quiet(rig)),
})

/** Resolves once the log has it, or when a fault has seen to it that it never will. */
const saying = (rig: Rig, text: string): Promise<void> =>
  until(() => (rig.told().includes(text) || rig.isPaused() ? true : null)).then(() => {})

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
    ...swapTo('probation', '', ''),
    async prepare(rig) {
      rig.configure(`${rig.toml}\nprobation_secs = 0.3`)
      await rig.start()
      rig.build('v2')
    },
  },
  {
    ...swapTo('incumbent dies in its drain', 'slow-drain=300', ''),
    // It is a fault already: after a second one nobody may be left who holds the listener.
    underLoad: false,
    async act(rig) {
      const { pid } = await rig.get()
      await rig.beginSwap()
      await saying(rig, 'handoff.prepare')
      tryKill(pid, 'SIGKILL')
    },
  },
  {
    name: 'adopt in mid-swap',
    underLoad: true,
    async prepare(rig) {
      await rig.start()
      rig.build('v2', 'slow-open=1500')
      await rig.beginSwap()
      await saying(rig, 'handoff.seal_complete')
      await rig.killSupervisor()
    },
    act: (rig) => rig.start({ wait: false }),
    finished: (rig) => rig.served().then(() => quiet(rig)),
  },
  {
    name: 'crash loop',
    underLoad: false,
    prepare: served,
    async act(rig) {
      const { pid } = await rig.get()
      rig.build('broken', 'crash-before-ready')
      tryKill(pid, 'SIGKILL')
    },
    finished: (rig) => until(async () => (((await statusOf(rig))?.restarts ?? 0) > 1 ? true : null)).then(() => {}),
  },
  {
    name: 'stop in mid-swap',
    underLoad: false,
    async prepare(rig) {
      rig.build('v1', 'slow-seal=300')
      await rig.start()
      rig.build('v2')
    },
    async act(rig) {
      await rig.beginSwap()
      await saying(rig, 'handoff.seal"')
      rig.supervisor?.kill('SIGTERM')
    },
    finished: (rig) => until(() => (rig.living().length === 0 ? true : null)).then(() => {}),
  },
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
      await until(async () => (((await statusOf(rig))?.restarts ?? 0) > 0 ? true : null))
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
