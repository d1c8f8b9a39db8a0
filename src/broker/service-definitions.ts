/**
 * Service definitions on disk: `<directory>/<service>.servicedef`, one bare ServiceDefinition each, as other brokers of
 * version 1 read them. They say which versions of a service may be asked for; where its backend runs is this broker's own
 * configuration, since this broker starts no backends.
 */
import { chmodSync, lstatSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { isAbsolute, join } from 'node:path'
import { isServiceName } from '../../machines/broker/hello.js'
import { brokerError } from '../errors/broker.js'
import { isErrno, reasonOf } from '../os/errno.js'
import { type ServiceDefinition, serviceDefinitionCodec } from '../wire/broker/messages.js'
import type { BrokerService, FindService } from './services.js'

/** A definition is a few paths and versions; a larger file is none, **bytes**. */
const MAX_DEFINITION_BYTES = 1024 * 1024

/** `RUNNING_PROCESS_SERVICE_DEF_DIR`, else below `XDG_CONFIG_HOME`, else below `~/.config`. */
export function serviceDefinitionDirectory(env: NodeJS.ProcessEnv = process.env): string {
  const { RUNNING_PROCESS_SERVICE_DEF_DIR: own, XDG_CONFIG_HOME: config } = env
  if (own) return own
  return join(config || join(homedir(), '.config'), 'running-process', 'services')
}

const fileOf = (directory: string, service: string): string => join(directory, `${service}.servicedef`)

/**
 * Null when there is no such file. The directory must be closed to group and others: what lies in it decides who is served.
 * @throws ERR_HANDOFF_BROKER_USAGE_DEFINITION
 */
export function readServiceDefinition(directory: string, service: string): ServiceDefinition | null {
  if (!isServiceName(service)) return null
  const file = fileOf(directory, service)
  const fail = (problem: string, cause?: unknown) =>
    brokerError('ERR_HANDOFF_BROKER_USAGE_DEFINITION', [file, problem], cause)
  let bytes: Buffer
  try {
    const { mode } = lstatSync(directory)
    if ((mode & 0o077) !== 0) throw fail(`lies in a directory of mode 0${(mode & 0o777).toString(8)}`)
    const { size } = lstatSync(file)
    if (size > MAX_DEFINITION_BYTES) throw fail(`has ${size} bytes`)
    bytes = readFileSync(file)
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR')) return null
    throw isErrno(error) ? fail(`cannot be read: ${reasonOf(error)}`, error) : error
  }
  const definition = decode(bytes, fail)
  if (definition.serviceName !== service) throw fail(`is about '${definition.serviceName}'`)
  if (!isAbsolute(definition.binaryPath)) throw fail('names no absolute binary_path')
  return definition
}

function decode(bytes: Buffer, fail: (problem: string, cause: unknown) => Error): ServiceDefinition {
  try {
    return serviceDefinitionCodec.decode(bytes)
  } catch (error) {
    throw fail(reasonOf(error), error)
  }
}

/** In one rename(2): no reader meets half of it. @throws ERR_HANDOFF_BROKER_USAGE_DEFINITION, errno exceptions */
export function writeServiceDefinition(
  directory: string,
  definition: Partial<ServiceDefinition> & { serviceName: string; binaryPath: string },
): string {
  const { serviceName, binaryPath } = definition
  const file = fileOf(directory, serviceName)
  const fail = (problem: string) => brokerError('ERR_HANDOFF_BROKER_USAGE_DEFINITION', [file, problem])
  if (!isServiceName(serviceName)) throw fail(`'${serviceName}' is no service name`)
  if (!isAbsolute(binaryPath)) throw fail('names no absolute binary_path')
  if (mkdirSync(directory, { recursive: true, mode: 0o700 }) !== undefined) chmodSync(directory, 0o700)
  const staged = `${file}.${process.pid}`
  writeFileSync(staged, serviceDefinitionCodec.encode(definition), { mode: 0o600 })
  renameSync(staged, file)
  return file
}

/**
 * Services whose versions are decided by definitions, read again at every Hello: a service without a definition is unknown,
 * one whose backend is not configured as well. `handoff.enabled = "false"` among the labels keeps clients reconnecting.
 */
export function definedServices(directory: string, backends: FindService): FindService {
  return (name): BrokerService | null => {
    const backend = backends(name)
    const definition = backend === null ? null : readServiceDefinition(directory, name)
    if (backend === null || definition === null) return null
    const { handoffEndpoint, minVersion: floor, allowedVersions: allowed, ...rest } = backend
    const minVersion = definition.minVersion || floor
    const allowedVersions = definition.versionAllowList.length > 0 ? definition.versionAllowList : allowed
    const passes = handoffEndpoint !== undefined && definition.labels['handoff.enabled'] !== 'false'
    return {
      ...rest,
      ...(passes ? { handoffEndpoint } : {}),
      ...(minVersion === undefined ? {} : { minVersion }),
      ...(allowedVersions === undefined ? {} : { allowedVersions }),
    }
  }
}
