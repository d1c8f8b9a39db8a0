/** The embedding door: run a daemon whose program can be replaced while it runs. */
import { type Actor, createActor } from 'xstate'
import type { incumbentMachine } from '../../machines/handoff/incumbent.machine.js'
import { checkPolicy, type Policy } from '../../machines/handoff/policy.js'
import type { successorMachine } from '../../machines/handoff/successor.machine.js'
import { MessageChannel } from '../channel/message-channel.js'
import { pollClock } from '../channel/poll-clock.js'
import { stateText } from '../channel/state-text.js'
import { daemonError } from '../errors/daemon.js'
import { watchedBy } from '../observe/inspect-tap.js'
import { machineObserver } from '../observe/machine-observer.js'
import { checkSocketPath } from '../os/unix-socket.js'
import { bindIncumbent, logSaid, toIncumbentEvent } from './bind-incumbent.js'
import { bindSuccessor, toSuccessorEvent } from './bind-successor.js'
import { DaemonCore } from './core.js'
import { ListenerSet } from './listener-set.js'
import type { Daemon, DaemonOptions } from './options.js'
import { detectRole, takeLingerMs } from './role.js'
import { watchPath } from './watch-path.js'

/**
 * Runs the daemon: cold start, or takeover when a supervisor started this process as a successor. Resolves once it
 * serves. From then on swaps, rollbacks and the orderly stop happen by themselves; the process ends by `process.exit`.
 * @throws ERR_HANDOFF_USAGE_DAEMON_OPTION and the errors of inheriting or binding listeners, before anything was opened.
 */
export async function serveDaemon<L extends string = string>(given: DaemonOptions<L>): Promise<Daemon> {
  const options = given as unknown as DaemonOptions
  const role = detectRole()
  const policy = validPolicy(options, role.role === 'successor' ? role.deadlineMs : null)
  checkSocketPath(options.controlSocket)
  const listeners = new ListenerSet(role.listeners, options.listeners ?? {})

  let incumbent: Actor<typeof incumbentMachine> | null = null
  const core = new DaemonCore(options, policy, listeners, {
    onAttended: () => {
      if (incumbent?.getSnapshot().can({ type: 'supervisor.attended' }) !== true) return false
      incumbent.send({ type: 'supervisor.attended' })
      return true
    },
    onMessage: (message) => {
      const event = toIncumbentEvent(message)
      if (event !== null) logSaid(core, event)
      if (message.type === 'PrepareHandoff') core.moves.keepOnly(message.successorPid)
      incumbent?.send(event ?? { type: 'supervisor.violatedProtocol' })
    },
    onEnd: () => {
      core.control.closeSession()
      incumbent?.send({ type: 'supervisor.disconnected' })
    },
    onViolation: () => incumbent?.send({ type: 'supervisor.violatedProtocol' }),
  })

  const successor = role.role === 'successor' ? startSuccessor(core, role.channelFd, role.deadlineMs !== null) : null
  const stop = (): void => {
    if (incumbent !== null) incumbent.send({ type: 'process.stopRequested' })
    else successor?.actor.send({ type: 'process.stopRequested' })
  }
  if (options.handleSignals !== false) {
    process.on('SIGTERM', stop)
    process.on('SIGINT', stop)
  }

  // A process that ends never resolves: exitProcess has been called.
  await successor?.live
  incumbent = startIncumbent(core, successor === null ? 'cold' : 'live')
  const serving = incumbent
  await new Promise<void>((resolve) => {
    if (serving.getSnapshot().hasTag('accepting')) resolve()
    const watch = serving.subscribe((snapshot) => {
      if (!snapshot.hasTag('accepting')) return
      watch.unsubscribe()
      resolve()
    })
  })
  return { role: role.role, state: () => stateText(serving.getSnapshot().value), stop }
}

function startIncumbent(core: DaemonCore, start: 'cold' | 'live'): Actor<typeof incumbentMachine> {
  if (start === 'live') core.cold = false
  const actor = createActor(bindIncumbent(core), {
    input: { policy: core.policy, start, canResume: core.state.canResume },
    clock: pollClock as never,
    ...watchedBy(core.tap?.as('incumbent'), machineObserver('daemon')),
  })
  let served = false
  let unwatch = (): void => {}
  actor.subscribe((snapshot) => {
    const serves = snapshot.hasTag('accepting')
    if (serves === served) return
    served = serves
    core.control.serve(serves)
    core.moves.serve(serves)
    unwatch()
    unwatch = serves
      ? watchPath(core.options.controlSocket, () => actor.send({ type: 'process.pathLost' }), core.log)
      : () => {}
    core.log.info({ state: stateText(snapshot.value) }, serves ? 'serving' : 'not serving')
  })
  actor.start()
  return actor as unknown as Actor<typeof incumbentMachine>
}

function startSuccessor(core: DaemonCore, channelFd: number, deadlineKnown: boolean) {
  const channel: MessageChannel = new MessageChannel(channelFd, {
    onMessage: (message) => actor.send(toSuccessorEvent(message, channel) ?? { type: 'supervisor.violatedProtocol' }),
    onEnd: () => actor.send({ type: 'supervisor.disconnected' }),
    onViolation: () => actor.send({ type: 'supervisor.violatedProtocol' }),
  })
  const actor = createActor(bindSuccessor(core, channel), {
    input: { policy: core.policy, deadlineKnown },
    clock: pollClock as never,
    ...watchedBy(core.tap?.as('successor'), machineObserver('daemon')),
  })
  const live = new Promise<void>((resolve) => {
    actor.subscribe({
      complete: () => {
        if (actor.getSnapshot().output?.live !== true) return
        channel.close()
        resolve()
      },
    })
  })
  actor.start()
  return { actor: actor as unknown as Actor<typeof successorMachine>, live }
}

function validPolicy(options: DaemonOptions, deadlineMs: number | null): Policy {
  for (const name of ['controlSocket', 'dataDir'] as const) {
    if (typeof options[name] === 'string' && options[name] !== '') continue
    throw daemonError('ERR_HANDOFF_USAGE_DAEMON_OPTION', [name, 'is missing', `give a path as ${name}`])
  }
  if (typeof options.open !== 'function') {
    throw daemonError('ERR_HANDOFF_USAGE_DAEMON_OPTION', ['open', 'is missing', 'give a function that opens the data'])
  }
  const lingerMs = takeLingerMs()
  const { policy, problems } = checkPolicy({
    ...(lingerMs === null ? {} : { lingerMs }),
    ...options.policy,
    ...(deadlineMs === null ? {} : { successorDeadlineMs: Math.max(100, deadlineMs) }),
  })
  const [problem] = problems
  if (problem !== undefined) {
    throw daemonError('ERR_HANDOFF_USAGE_DAEMON_OPTION', [`policy.${problem.name}`, problem.problem, 'correct it'])
  }
  return policy
}
