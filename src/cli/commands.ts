/** The commands of `handoff`, loaded only when typed: help must not wait for what a supervisor needs. */
import type { Io } from './io.js'

export interface Command {
  /** @returns the exit code. @throws HandoffError for what the person can mend */
  run(argv: readonly string[], io: Io): Promise<number>
}

export const COMMANDS: Readonly<Record<string, { readonly summary: string; load(): Promise<Command> }>> = {
  supervise: { summary: 'run a program under a supervisor that can swap it', load: () => import('./supervise.js') },
  swap: { summary: 'replace the running program without a gap', load: () => import('./swap.js') },
  rehearse: {
    summary: 'start the new program beside the one that serves, see whether it would come up, end it',
    load: () => import('./rehearse.js'),
  },
  status: { summary: 'who serves, since when, how the last swap went', load: () => import('./status.js') },
  broker: { summary: 'negotiate with clients and pass their connections on', load: () => import('./broker.js') },
  watch: { summary: 'who serves and how a swap goes, live', load: () => import('./watch.js') },
  history: { summary: 'the log of swaps', load: () => import('./history.js') },
  explain: {
    summary: 'one swap, told: what was said, what went wrong, what to do',
    load: () => import('./explain.js'),
  },
  doctor: { summary: 'look for what makes swaps fail, and name the cure', load: () => import('./doctor.js') },
  inspect: { summary: 'see every role live in a browser, or replay a trace', load: () => import('./inspect.js') },
  stop: { summary: 'stop the supervisor and its program, in order', load: () => import('./stop.js') },
  check: {
    summary: 'explore the machines with every fault: what holds, and how it breaks',
    load: () => import('./check.js'),
  },
  paths: { summary: 'ways through the explored world, as data for your own runner', load: () => import('./paths.js') },
}
