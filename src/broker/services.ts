/** The services a broker knows. */
import { isServiceName, type ServiceTerms } from '../../machines/broker/hello.js'
import { brokerError } from '../errors/broker.js'
import { requirePath } from './options.js'

export interface BrokerService extends ServiceTerms {
  /** Version of the running backend, told to clients. */
  readonly version: string
  /** Where clients dial the backend themselves: the path that always works. */
  readonly backendPipe: string
  /** Where this broker passes connections to; without it clients of the service always dial for themselves. */
  readonly handoffEndpoint?: string
  /** Further capability bits of the backend; bit 0 is set by the broker when it gives a token. */
  readonly capabilities?: bigint
}

/** A table, or a function for those that come and go. */
export type Services = { readonly [name: string]: BrokerService } | ((name: string) => BrokerService | null | undefined)

export type FindService = (name: string) => BrokerService | null

/** @throws ERR_HANDOFF_BROKER_USAGE_OPTION for a name or a path that no client could use */
export function serviceFinder(services: Services, defaultEndpoint: string | undefined): FindService {
  const complete = (service: BrokerService): BrokerService =>
    service.handoffEndpoint === undefined && defaultEndpoint !== undefined
      ? { ...service, handoffEndpoint: defaultEndpoint }
      : service
  if (typeof services === 'function') {
    return (name) => {
      const found = services(name)
      return found == null ? null : complete(found)
    }
  }
  const table = new Map<string, BrokerService>()
  for (const [name, service] of Object.entries(services)) {
    if (!isServiceName(name)) {
      throw brokerError('ERR_HANDOFF_BROKER_USAGE_OPTION', [
        `services.${name}`,
        'is no service name',
        'use a-z, 0-9 and -',
      ])
    }
    requirePath(service.backendPipe, `services.${name}.backendPipe`)
    if (service.handoffEndpoint !== undefined) requirePath(service.handoffEndpoint, `services.${name}.handoffEndpoint`)
    table.set(name, complete(service))
  }
  return (name) => table.get(name) ?? null
}

/** Names of a table; a function's services cannot be told. */
export const knownServices = (services: Services): readonly string[] | null =>
  typeof services === 'function' ? null : Object.keys(services)
