/** What comes from others: a peer that breaks the protocol, and somebody else's hand. */
import { rmSync } from 'node:fs'
import type { HandoffState } from '../../machines/handoff/world/index.js'
import { tryKill } from '../supervisor/rig.js'
import { type Company, slotOf } from './company.js'
import { NO_ID, wordOf } from './words.js'

/** `S!A.SealRequest#0`, `B!Ready`, `A.hangsUp#0`, `S.hangsUp.B`. */
export async function burstOut(company: Company, what: string, before: HandoffState): Promise<void> {
  const whose = what[0] as string
  const isHangUp = what.includes('.hangsUp')
  const [to = '', said = ''] =
    whose === 'S'
      ? (/^S(?:!|\.hangsUp\.)([A-H])\.?([^#]*)/.exec(what)?.slice(1) ?? [])
      : ['S', /^[A-H](?:!|\.hangsUp)([^#]*)/.exec(what)?.[1] ?? '']
  const speaker = whose === 'S' ? company.supervisor() : company.of(whose)
  const other = whose === 'S' ? to : whose
  const { channel, role } = before.primitives[slotOf(other)] ?? {}
  // A successor is spoken to on its channel, an incumbent in the session.
  const isChannel = channel != null && role === 'successor'
  const isRehearsed = company.rehearsed(before) === slotOf(other)
  const born = isRehearsed ? 'startRehearsed' : 'spawnSuccessor'
  const end = whose === 'S' ? (isChannel ? born : 'dialIncumbent') : isChannel ? 'channel' : 'session'
  if (isHangUp) {
    const own =
      whose === 'S'
        ? isRehearsed
          ? 'supervisor'
          : 'swap'
        : isChannel
          ? 'successor'
          : isGreeting(before, other)
            ? 'greeting'
            : 'incumbent'
    const peer = whose === 'S' ? (isRehearsed ? 'rehearsed' : isChannel ? 'successor' : 'incumbent') : 'supervisor'
    await speaker.ask('discard', { machine: own, prefix: `${peer}.` })
    await speaker.ask('hangUp', { end })
    return await company.release(speaker, own, `${peer}.disconnected`)
  }
  if (said === 'Heartbeat') {
    // One is answered by another.
    await company.of(other).ask('passBeat')
    await company.supervisor().ask('passBeat')
  }
  const frame = wordOf(said, {
    handoffId: (await company.stage.rig.status()).swap?.handoffId ?? NO_ID,
    role: isChannel ? 'successor' : 'incumbent',
    pid: speaker.pid,
    bySupervisor: whose === 'S',
  })
  await speaker.ask('say', { end, hex: Buffer.from(frame).toString('hex') })
}

/** `SIGTERM:A`, `unlink:A`. */
export async function meddle(company: Company, what: string, before: HandoffState): Promise<void> {
  const [how, whose = ''] = what.split(':')
  const puppet = company.of(whose)
  if (how === 'SIGTERM') {
    tryKill(puppet.pid, 'SIGTERM')
    return
  }
  rmSync(company.stage.rig.controlSocket)
  const { role, machine } = before.primitives[slotOf(whose)] ?? {}
  // Only who serves watches its path.
  if (role === 'incumbent' && company.world.players.incumbent.facts(machine ?? 0).accepting)
    await company.release(puppet, 'incumbent', 'process.pathLost')
}

function isGreeting(state: HandoffState, whose: string): boolean {
  return state.primitives[slotOf(whose)]?.sessions.some(({ greeting }) => greeting >= 0) ?? false
}
