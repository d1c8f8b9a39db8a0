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

/** Removes HANDOFF_LINGER_MS: how long the supervisor lets a replaced incumbent finish its connections, ms; null without. */
export function takeLingerMs(env: { [name: string]: string | undefined } = process.env): number | null {
  const text = env.HANDOFF_LINGER_MS
  delete env.HANDOFF_LINGER_MS
  return text !== undefined && /^\d{1,8}$/.test(text) ? Number(text) : null
}

/** Removes HANDOFF_REHEARSAL: this process is started to see whether it can be, and is ended after its Hello. */
export function takeRehearsal(env: { [name: string]: string | undefined } = process.env): boolean {
  const isSet = env.HANDOFF_REHEARSAL === '1'
  delete env.HANDOFF_REHEARSAL
  return isSet
}

/**
 * Reads and removes the handoff variables; a second call finds none and answers `incumbent`.
 * @throws ERR_HANDOFF_INHERITED, ERR_HANDOFF_INHERITED_FD
 */
export function detectRole(env: { [name: string]: string | undefined } = process.env, pid = process.pid): Role {
  const { role, channelFd, deadlineMs, listeners } = consumeHandoffEnv(env, pid)
  if (role === 'successor' && channelFd !== null) return { role, channelFd, deadlineMs, listeners }
  return { role: 'incumbent', listeners }
}
