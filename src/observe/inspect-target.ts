/** Where inspection goes: nowhere, to the socket beside the control socket, or to a viewer's own address. */
import { observeError } from '../errors/observe.js'

/** The control socket's sibling on which `handoff inspect` listens. */
export const INSPECT_SUFFIX = '.inspect'

/** Set by a supervisor that is inspected, for the primitives it starts. */
export const INSPECT_ENV = 'HANDOFF_INSPECT'

/** `true`: the socket beside the control socket. A text: `ws://127.0.0.1:4000/produce?token=…`, or `unix:/path`. */
export type InspectOption = boolean | string

export const inspectSocket = (controlSocket: string): string => `${controlSocket}${INSPECT_SUFFIX}`

/**
 * The address a sender dials, or null when nobody asked for inspection.
 * @throws HandoffError ERR_HANDOFF_USAGE_INSPECT
 */
export function inspectAddress(asked: InspectOption | undefined, controlSocket: string): string | null {
  const option = asked ?? inspectFromEnvironment()
  if (option === false) return null
  if (option === true) return unixAddress(inspectSocket(controlSocket))
  if (option.startsWith('unix:/')) return unixAddress(option.slice('unix:'.length))
  if (!/^wss?:\/\/./.test(option)) throw observeError('ERR_HANDOFF_USAGE_INSPECT', [option])
  return option
}

/** What {@link INSPECT_ENV} asks for. */
export function inspectFromEnvironment(): InspectOption {
  const value = process.env[INSPECT_ENV]
  if (value === undefined || value === '' || value === '0') return false
  return value === '1' ? true : value
}

/** What a supervisor puts into the environment of its primitives. */
export const toEnvironment = (asked: InspectOption | undefined): string | null =>
  asked === undefined || asked === false ? null : asked === true ? '1' : asked

const unixAddress = (path: string): string => `ws+unix:${path}:/produce`
