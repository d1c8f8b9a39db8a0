/** What the callers of the broker's three doors may see. A failed handoff is none of it (INV-24). */
import { errorFactory } from './handoff-error.js'

export const brokerErrors = {
  ERR_HANDOFF_BROKER_USAGE_OPTION: (option: string, problem: string, cure: string) => ({
    happened: `${option} ${problem}`,
    now: 'nothing was opened',
    todo: cure,
  }),
  ERR_HANDOFF_BROKER_USAGE_DIRECTORY: (directory: string, problem: string) => ({
    happened: `the directory ${directory} of the socket ${problem}`,
    now: 'nothing was bound: other users could put a socket of theirs in its place',
    todo: `chmod 0700 ${directory}, or choose a directory that only you may enter`,
  }),
  ERR_HANDOFF_BROKER_USAGE_DEFINITION: (file: string, problem: string) => ({
    happened: `the service definition ${file} ${problem}`,
    now: 'its service is not served',
    todo: 'correct the file, or write it again; its directory must be 0700',
  }),
  ERR_HANDOFF_BROKER_PROBE: (path: string, reason: string) => ({
    happened: `the endpoint at ${path} did not tell who it is: ${reason}`,
    now: 'nothing is known about the process behind it',
    todo: 'check that the backend runs, and that its endpoint answers identity probes',
  }),
  ERR_HANDOFF_BROKER_UNREACHABLE: (path: string, reason: string) => ({
    happened: `the broker at ${path} could not be reached: ${reason}`,
    now: 'there is no connection to the service',
    todo: 'check that the broker runs and that the path is its control socket',
  }),
  ERR_HANDOFF_BROKER_TIMEOUT: (path: string, ms: number) => ({
    happened: `the broker at ${path} did not answer Hello within ${ms} ms`,
    now: 'the connection was dropped; nothing was sent to the service',
    todo: 'look at the broker: it is alive but does not answer',
  }),
  ERR_HANDOFF_BROKER_PEER_LEFT: (path: string) => ({
    happened: `the broker at ${path} ended the connection before it answered`,
    now: 'nothing was sent to the service',
    todo: 'try again; a broker that does this every time rejects this user',
  }),
  ERR_HANDOFF_BROKER_PEER_PROTOCOL: (path: string, reason: string) => ({
    happened: `the answer of the broker at ${path} makes no sense: ${reason}`,
    now: 'the connection was dropped; nothing was sent to the service',
    todo: 'check that the path is a broker control socket and that both speak version 1',
  }),
  ERR_HANDOFF_BROKER_REFUSED: (code: string, reason: string, retryAfterMs: number) => ({
    happened: `the broker refused (${code}): ${reason}`,
    now: 'there is no connection to the service',
    todo: retryAfterMs > 0 ? `try again in ${retryAfterMs} ms` : 'correct the request: trying again changes nothing',
  }),
  ERR_HANDOFF_BROKER_NO_ENDPOINT: (service: string) => ({
    happened: `the broker named no endpoint of ${service}`,
    now: 'there is no connection to the service',
    todo: 'give the service a backend endpoint in the broker’s configuration',
  }),
  ERR_HANDOFF_BROKER_BACKEND_UNREACHABLE: (path: string, reason: string) => ({
    happened: `the backend at ${path} could not be reached: ${reason}`,
    now: 'there is no connection to the service',
    todo: 'check that the backend runs; the broker had named this endpoint',
  }),
  ERR_HANDOFF_BROKER_ABORTED: (path: string) => ({
    happened: `connecting through the broker at ${path} was aborted by its caller`,
    now: 'every connection that had been opened for it is closed',
    todo: 'nothing, if that was meant',
  }),
} as const

export const brokerError = errorFactory(brokerErrors)
