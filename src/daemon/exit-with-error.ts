/** The end of a daemon that could not start, told to a person: three lines for our own errors, the stack for all others. */
import { isHandoffError } from '../errors/handoff-error.js'

/** EX_USAGE of sysexits.h: the command line, an option or the environment is wrong, and a second try will not help. */
const USAGE_STATUS = 64

/**
 * For `await serveDaemon({ … }).catch(exitWithError)`: says on stderr what happened, what is true now and what to do, then
 * ends the process, with status 64 when the caller is to blame and 1 otherwise.
 */
export function exitWithError(error: unknown): never {
  if (!isHandoffError(error)) {
    console.error(error)
    process.exit(1)
  }
  console.error(`${error.code}: ${error.happened}\n  now: ${error.now}\n  to do: ${error.todo}`)
  const isUsage = error.code.startsWith('ERR_HANDOFF_USAGE_') || error.code.startsWith('ERR_HANDOFF_INHERITED')
  process.exit(isUsage ? USAGE_STATUS : 1)
}
