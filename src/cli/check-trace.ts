/** `handoff check --trace`: does a recorded run conform to the machines? */
import { cliError } from '../errors/cli.js'
import { type Conformance, checkTraceFiles } from '../observe/conformance.js'
import { EXIT_CODES } from './exit-codes.js'
import type { Io } from './io.js'

/** @returns 0 when every step is known, 1 with the first that is not. @throws HandoffError ERR_HANDOFF_USAGE_TRACE */
export function checkTraceCommand(path: string, json: boolean, io: Io): number {
  const result = readable(path)
  io.out(json ? `${JSON.stringify(result)}\n` : report(path, result))
  return result.conforms ? EXIT_CODES.ok : EXIT_CODES.failed
}

function readable(path: string): Conformance {
  let result: Conformance
  try {
    result = checkTraceFiles(path)
  } catch (error) {
    throw cliError('ERR_HANDOFF_USAGE_TRACE', [path, error instanceof Error ? error.message : String(error)], error)
  }
  // Nothing to replay is no proof of anything.
  if (result.conforms && result.steps === 0) throw cliError('ERR_HANDOFF_USAGE_TRACE', [path, 'it holds no step'])
  return result
}

function report(path: string, { files, sessions, steps, unfollowed, refusal }: Conformance): string {
  const read = `${steps} steps of ${sessions} machines in ${files} ${files === 1 ? 'file' : 'files'}`
  const cut = unfollowed > 0 ? `; ${unfollowed} began in a part that was overwritten and were not followed` : ''
  if (refusal === null) return `conforms: ${read}${cut}\n`
  const who = refusal.machine === undefined ? '' : `${refusal.machine} (pid ${refusal.pid}, ${refusal.session})`
  return [
    `${refusal.file}:${refusal.line}: ${refusal.says}`,
    ...(who === ''
      ? []
      : [`  machine   ${who}`, `  state     ${refusal.state ?? 'not started'}`, `  event     ${refusal.event}`]),
    `  ${refusal.differs}`,
    ...('expected' in refusal ? [`    expected  ${JSON.stringify(refusal.expected)}`] : []),
    ...('recorded' in refusal ? [`    recorded  ${JSON.stringify(refusal.recorded)}`] : []),
    `does not conform: ${path}, after ${read}`,
    '',
  ].join('\n')
}
