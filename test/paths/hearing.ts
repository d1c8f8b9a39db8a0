/** What was said reaches its machine: messages, the end of a connection, the end of a process, a signal. */
import type { FromIncumbent, FromSuccessor, ToIncumbent, ToSuccessor } from '../../machines/handoff/messages.js'
import {
  fromIncumbent,
  fromRehearsed,
  fromSuccessor,
  toIncumbentEvent,
  toSuccessorEvent,
} from '../../machines/handoff/translate.js'
import type { HandoffState } from '../../machines/handoff/world/index.js'
import { NONE } from '../../machines/handoff/world/slot.js'
import { ADMITTED } from '../../machines/handoff/world/state.js'
import { isStrange } from '../../machines/handoff/world/strange.js'
import { tryKill } from '../supervisor/rig.js'
import { type Company, slotOf } from './company.js'

/** `B.Hello`, `A.sessionEOF`, `B.channelEOF`, `A.exit`. */
export async function supervisorHears(company: Company, what: string, before: HandoffState): Promise<void> {
  const whose = what[0] as string
  const said = what.slice(2).replace(/#\d+$/, '')
  const slot = slotOf(whose)
  const primitive = before.primitives[slot]
  const { swap } = before.supervisor
  const supervisor = company.supervisor()
  if (said === 'exit') {
    const pid = company.pids[slot] as number
    await company.release(supervisor, 'supervisor', 'primitive.exited', pid)
    if (swap === NONE) return
    const { incumbentPid, successorPid } = company.world.players.swap.stepper.view(swap).context as Pids
    if (incumbentPid === slot + 1) await company.release(supervisor, 'swap', 'incumbent.exited')
    else if (successorPid === slot + 1) await company.release(supervisor, 'swap', 'successor.exited')
    return
  }
  const isRehearsed = company.rehearsed(before) === slot
  if ((swap === NONE && !isRehearsed) || primitive == null) return
  let type: string
  if (said === 'channelEOF') type = 'successor.disconnected'
  else if (said === 'sessionEOF') type = 'incumbent.disconnected'
  else {
    // Both streams of one process never have something to say at the same time: one ends before the other begins.
    const isChannel = primitive.channel?.toSupervisor[0] !== undefined
    const queue = isChannel ? primitive.channel : primitive.sessions.find(({ toSupervisor }) => toSupervisor.length > 0)
    const message = company.world.players.message(queue?.toSupervisor[0] ?? 0)
    if (isStrange(message)) type = message.means.type
    else if (isRehearsed) type = fromRehearsed(message as FromSuccessor, 0)?.type ?? 'successor.progressed'
    else if (isChannel) type = fromSuccessor(message as FromSuccessor, 0).type
    else type = fromIncumbent(message as FromIncumbent, 0).type
  }
  if (isRehearsed && type === 'successor.progressed') return
  await company.release(
    supervisor,
    isRehearsed ? 'supervisor' : 'swap',
    isRehearsed ? type.replace('successor', 'rehearsed') : type,
  )
}

/** What a primitive hears: a message, EOF, a signal. */
export async function primitiveHears(
  company: Company,
  whose: string,
  said: string,
  before: HandoffState,
): Promise<void> {
  const role = before.primitives[slotOf(whose)]?.role ?? 'incumbent'
  let type: string
  if (said === 'EOF') type = 'supervisor.disconnected'
  else if (said === 'SIGTERM') type = 'process.stopRequested'
  else {
    const { channel, sessions } = before.primitives[slotOf(whose)] as NonNullable<(typeof before.primitives)[number]>
    const queue = role === 'successor' ? channel : sessions.find(({ greeting }) => greeting === ADMITTED)
    const message = company.world.players.message(queue?.toPrimitive[0] ?? 0)
    if (role === 'incumbent' && message.kind.startsWith('HelloAck')) type = 'supervisor.violatedProtocol'
    else if (isStrange(message)) type = message.means.type
    else if (role === 'successor') type = toSuccessorEvent(message.kind as ToSuccessor['kind']).type
    else
      type = toIncumbentEvent(message as Exclude<ToIncumbent, { kind: 'HelloAck' }>, company.world.players.policy).type
  }
  const puppet = company.of(whose)
  // The signal found the successor, which has become the incumbent before it took notice: it is sent to who runs now.
  if (said === 'SIGTERM' && role === 'incumbent' && puppet.holds('successor', type)) {
    await puppet.ask('discard', { machine: 'successor', prefix: type })
    tryKill(puppet.pid, 'SIGTERM')
  }
  await company.release(puppet, role, type)
}

/** `accept#0`, `greeting<HelloAck#0`, `greeting<EOF#0`. */
export async function greetingHears(company: Company, whose: string, what: string): Promise<void> {
  // It was accepted, or turned away, and what was said then heard, as it came.
  if (what.startsWith('accept') || !what.startsWith('greeting<EOF')) return
  await company.release(company.of(whose), 'greeting', 'supervisor.disconnected')
}

interface Pids {
  readonly incumbentPid: number
  readonly successorPid: number | null
}
