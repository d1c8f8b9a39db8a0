/** How a primitive is started: which program, with which environment, and which descriptor in which place. */

import type { Policy } from '../../machines/handoff/policy.js'
import { INSPECT_ENV, toEnvironment } from '../observe/inspect-target.js'
import type { BoundListener } from '../os/listeners.js'
import type { SpawnOptions } from '../os/processes.js'
import { resolveBinary } from './binary.js'
import type { SupervisorOptions } from './types.js'

/** What is started: changes with a committed swap. */
export interface Build {
  readonly binary: string
  readonly args: readonly string[]
  readonly env: readonly (readonly [name: string, value: string])[]
}

/** By those of the second line systemd means this process alone: a program that said READY=1 would speak for us. */
const NOT_PASSED_ON = [
  ...['LISTEN_PID', 'HANDOFF_ROLE', 'HANDOFF_SOCK_FD', 'HANDOFF_DEADLINE_MS', 'HANDOFF_REHEARSAL'],
  ...['NOTIFY_SOCKET', 'WATCHDOG_USEC', 'WATCHDOG_PID'],
] as const

/**
 * The descriptors of the wire spec: listeners from 3 on, in the order of their names, then the channel.
 * @param channelFd of a successor; null for a cold start
 */
export function launchOptions(
  options: SupervisorOptions,
  build: Build,
  listeners: readonly BoundListener[],
  policy: Policy,
  channelFd: number | null,
): SpawnOptions {
  const env: NodeJS.ProcessEnv = { ...process.env, ...Object.fromEntries(build.env) }
  // What was meant for us is not meant for them; a stale LISTEN_PID would void the block.
  for (const name of NOT_PASSED_ON) delete env[name]
  const inspect = toEnvironment(options.inspect)
  if (inspect !== null) env[INSPECT_ENV] ??= inspect
  env.LISTEN_FDS = String(listeners.length)
  env.LISTEN_FDNAMES = listeners.map(({ name }) => name).join(':')
  // The program may finish its last connections for as long as it is not told to go.
  env.HANDOFF_LINGER_MS = String(policy.retireGraceMs)
  if (channelFd !== null) {
    env.HANDOFF_ROLE = 'successor'
    env.HANDOFF_SOCK_FD = String(3 + listeners.length)
    env.HANDOFF_DEADLINE_MS = String(policy.deadlineMs)
  }
  return {
    // Links are followed now, at each start: `releases/current` may point elsewhere since the last one.
    file: resolveBinary(build.binary).exec,
    args: build.args,
    env,
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    fds: [...listeners.map(({ fd }) => fd), ...(channelFd === null ? [] : [channelFd])],
    // A Ctrl-C on the terminal is ours to pass on, in order.
    detached: true,
  }
}
