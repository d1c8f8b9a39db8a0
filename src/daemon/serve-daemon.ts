/** The embedding door: run a daemon whose program can be replaced while it runs. */
import { checkPolicy, type Policy } from '../../machines/handoff/policy.js'
import { daemonError } from '../errors/daemon.js'
import { collectGarbage } from '../os/garbage.js'
import { checkSocketPath } from '../os/unix-socket.js'
import { ListenerSet } from './listener-set.js'
import type { Daemon, DaemonOptions } from './options.js'
import { rehearse } from './rehearsal.js'
import { detectRole, takeLingerMs, takeRehearsal } from './role.js'
import { DaemonRoles } from './roles.js'

/**
 * Runs the daemon: cold start, or takeover when a supervisor started this process as a successor. Resolves once it
 * serves. From then on swaps, rollbacks and the orderly stop happen by themselves; the process ends by `process.exit`.
 * @throws ERR_HANDOFF_USAGE_DAEMON_OPTION and the errors of inheriting or binding listeners, before anything was opened.
 */
export async function serveDaemon<L extends string = string>(given: DaemonOptions<L>): Promise<Daemon> {
  const options = given as unknown as DaemonOptions
  const role = detectRole()
  const policy = validPolicy(options, role.role === 'successor' ? role.deadlineMs : null)
  // The longer one decides; found out only when it is bound, it would cost a swap.
  checkSocketPath(`${options.controlSocket}.fds`)
  const listeners = new ListenerSet(role.listeners, options.listeners ?? {})

  const roles = new DaemonRoles(options, policy, listeners, {
    isTrial: takeRehearsal() && role.role === 'successor',
    leave: (status) => process.exit(status),
    watched: true,
    rehearse: (log) => rehearse(policy, log),
    collect: collectGarbage,
  })
  const stop = (): void => roles.stop()
  if (options.handleSignals !== false) {
    process.on('SIGTERM', stop)
    process.on('SIGINT', stop)
  }

  // A process that ends never resolves: exitProcess has been called.
  if (role.role === 'successor') await roles.takeOver(role.channelFd, role.deadlineMs !== null)
  await roles.serve(role.role === 'successor' ? 'live' : 'cold')
  return { role: role.role, state: () => roles.state(), stop }
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
