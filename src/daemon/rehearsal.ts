/**
 * One swap played through on scratch, with the real machines and the real effects, shortly before the real one: code that
 * runs for the first time is compiled then, and libraries are loaded then, and in the gap that costs ten times the gap.
 *
 * Played while somebody serves: by the successor before its Hello, by the incumbent before its drain. It touches nothing of
 * the service: its data directory, its sockets and its listener are its own, and nobody else is told of them.
 */
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Policy } from '../../machines/handoff/policy.js'
import type { Message } from '../../machines/handoff/protocol.js'
import { MessageChannel } from '../channel/message-channel.js'
import { createLog, type Logger } from '../observe/log.js'
import { streamPair } from '../os/fds.js'
import { isAlive } from '../os/processes.js'
import { dialOnce } from '../os/unix-socket.js'
import { ListenerSet } from './listener-set.js'
import type { DaemonOptions } from './options.js'
import { DaemonRoles } from './roles.js'

/** Longest a rehearsal may take, ms; on a busy machine the swap goes on without the rest of it. */
const REHEARSAL_MS = 250

const HANDOFF_ID = '00000000-0000-4000-8000-000000000000'

const SCRATCH_PREFIX = 'handoff-rehearsal-'

/** Removes the scratch of processes that were killed in the middle of a rehearsal: they could not. */
export function sweepScratch(): void {
  for (const name of readdirSync(tmpdir())) {
    const pid = name.startsWith(SCRATCH_PREFIX) ? Number.parseInt(name.slice(SCRATCH_PREFIX.length), 10) : Number.NaN
    if (Number.isNaN(pid) || isAlive(pid)) continue
    rmSync(join(tmpdir(), name), { recursive: true, force: true })
  }
}

/** Never rejects: a rehearsal that fails, for want of a place for temporary files say, only leaves the swap slower. */
export async function rehearse(policy: Policy, log: Logger): Promise<void> {
  let dir: string | null = null
  try {
    sweepScratch()
    await nextTurn()
    dir = mkdtempSync(join(tmpdir(), `${SCRATCH_PREFIX}${process.pid}-`))
    await play(dir, policy)
  } catch (error) {
    log.debug({ err: error }, 'no rehearsal; the swap may take some milliseconds longer')
  } finally {
    if (dir !== null) rmSync(dir, { recursive: true, force: true })
  }
}

/** In as many turns of the loop as there are steps: the incumbent answers its clients in between. */
async function play(dir: string, policy: Policy): Promise<void> {
  const controlSocket = join(dir, 's')
  const dataDir = join(dir, 'd')
  mkdirSync(dataDir)
  const listeners = new ListenerSet([], { rehearsal: { path: join(dir, 'l') } })
  await nextTurn()
  let end = (): void => {}
  const ended = new Promise<void>((resolve) => {
    end = resolve
  })
  const timer = setTimeout(end, REHEARSAL_MS)
  const roles = new DaemonRoles(scratchDaemon(controlSocket, dataDir), policy, listeners, {
    leave: end,
    watched: false,
    rehearse: async () => {},
    collect: () => {},
  })
  await nextTurn()
  const supervisor = new Supervisor(controlSocket)
  try {
    const live = roles.takeOver(supervisor.successorEnd, true)
    await Promise.race([live.then(() => roles.serve('live')), ended])
    await nextTurn()
    supervisor.attend()
    await ended
  } finally {
    clearTimeout(timer)
    roles.abandon()
    supervisor.close()
    roles.core.control.close()
    roles.core.rendezvous.close()
    roles.core.state.releaseLock()
    listeners.close()
  }
}

function scratchDaemon(controlSocket: string, dataDir: string): DaemonOptions {
  return {
    controlSocket,
    dataDir,
    // Everything but the write itself.
    log: createLog({ to: { write() {} }, format: 'json', level: 'info' }),
    open({ listeners }) {
      listeners.rehearsal?.attach(createServer())
      return { revisions: () => [1], seal: () => ({ revisions: [1] }), close() {} }
    },
  }
}

/** The other side of both exchanges; it answers each word with the next one. */
class Supervisor {
  readonly successorEnd: number
  readonly #controlSocket: string
  readonly #channels: MessageChannel[] = []

  constructor(controlSocket: string) {
    this.#controlSocket = controlSocket
    const [ours, theirs] = streamPair()
    this.successorEnd = theirs
    this.#converse(ours, {
      Hello: [
        { type: 'HelloAck', protoVersionChosen: 1, handoffId: HANDOFF_ID },
        { type: 'Begin', handoffId: HANDOFF_ID },
      ],
      Ready: [{ type: 'Commit', handoffId: HANDOFF_ID }],
    })
  }

  /** Takes the incumbent through its part; it leaves at the end. */
  attend(): void {
    const dialled = dialOnce(this.#controlSocket)
    if (!dialled.ok) throw dialled.error
    const handoffId = HANDOFF_ID
    this.#converse(dialled.fd, {
      Hello: [
        { type: 'HelloAck', protoVersionChosen: 1, handoffId },
        { type: 'PrepareHandoff', handoffId, successorPid: process.pid, deadlineMs: 60_000n, drainGraceMs: 1_000n },
      ],
      Drained: [{ type: 'SealRequest', handoffId }],
      SealComplete: [{ type: 'Commit', handoffId }],
    })
  }

  close(): void {
    for (const channel of this.#channels) channel.close()
  }

  #converse(fd: number, answers: { readonly [type: string]: readonly Message[] }): void {
    const channel: MessageChannel = new MessageChannel(fd, {
      onMessage: ({ type }) => {
        for (const answer of answers[type] ?? []) channel.send(answer)
      },
      onEnd: () => {},
      onViolation: () => {},
    })
    this.#channels.push(channel)
  }
}
