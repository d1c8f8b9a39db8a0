/** Options that the broker's doors share. */
import { type BrokerPolicy, checkBrokerPolicy } from '../../machines/broker/policy.js'
import { brokerError } from '../errors/broker.js'
import { checkSocketPath } from '../os/unix-socket.js'

/** @throws ERR_HANDOFF_BROKER_USAGE_OPTION naming the first limit that is wrong */
export function validPolicy(values: Partial<BrokerPolicy> | undefined): BrokerPolicy {
  const { policy, problems } = checkBrokerPolicy(values ?? {})
  const [problem] = problems
  if (problem !== undefined) {
    throw brokerError('ERR_HANDOFF_BROKER_USAGE_OPTION', [`policy.${problem.name}`, problem.problem, 'correct it'])
  }
  return policy
}

/** @throws ERR_HANDOFF_BROKER_USAGE_OPTION, ERR_HANDOFF_SOCKET_PATH_TOO_LONG */
export function requirePath(value: unknown, option: string): string {
  if (typeof value !== 'string' || !value.startsWith('/')) {
    throw brokerError('ERR_HANDOFF_BROKER_USAGE_OPTION', [option, 'is no absolute path', `give a path as ${option}`])
  }
  checkSocketPath(value)
  return value
}
