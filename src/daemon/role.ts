/** Which role this process was started for: read from the environment, once. */
import { consumeHandoffEnv, type HandoffEnv } from '../os/inherited.js'

export type Role =
  | {
      readonly role: 'successor'
      readonly channelFd: number
      readonly deadlineMs: number | null
      readonly listeners: HandoffEnv['listeners']
    }
  | { readonly role: 'incumbent'; readonly listeners: HandoffEnv['listeners'] }

/**
 * Reads and removes the handoff variables; a second call finds none and answers `incumbent`.
 * @throws ERR_HANDOFF_INHERITED, ERR_HANDOFF_INHERITED_FD
 */
export function detectRole(env: { [name: string]: string | undefined } = process.env, pid = process.pid): Role {
  const { role, channelFd, deadlineMs, listeners } = consumeHandoffEnv(env, pid)
  if (role === 'successor' && channelFd !== null) return { role, channelFd, deadlineMs, listeners }
  return { role: 'incumbent', listeners }
}
