/** Binds the successor machine to this process: every name in it gets its effect here, and only here. */
import { fromPromise } from 'xstate'
import type { FromSuccessor, SupervisorToSuccessorEvent } from '../../machines/handoff/messages.js'
import { type Message, PROTOCOL_VERSION_MAX, PROTOCOL_VERSION_MIN } from '../../machines/handoff/protocol.js'
import { successorMachine } from '../../machines/handoff/successor.machine.js'
import { askHello } from '../channel/ask-hello.js'
import { fingerprintBytes } from '../channel/fingerprint.js'
import { ownHello } from '../channel/identity.js'
import type { MessageChannel } from '../channel/message-channel.js'
import type { DaemonCore } from './core.js'

const LOOK_MS = 1_000

/** @param onReady called while the supervisor checks Ready: time for what can be made beforehand */
export function bindSuccessor(core: DaemonCore, channel: MessageChannel, onReady: () => void = () => {}) {
  const { state, listeners, log, policy } = core
  return successorMachine.provide({
    actors: {
      prepare: fromPromise(async ({ signal }) => {
        await core.surroundings.rehearse(log)
        await core.noting('prepare', state.prepare(signal, core.surroundings.isTrial === true))
        stageEarly(core)
        // Leaves the thread that beats asleep: making it belongs in no gap.
        channel.startBeating(policy.heartbeatPeriodMs)
        channel.stopBeating()
        core.surroundings.collect('whole')
      }),
      fetchConnections: fromPromise(async ({ signal }) => {
        if (core.surroundings.isTrial !== true) await core.incoming.fetch(signal)
      }),
      acquireLock: fromPromise(async () => state.acquireLock('later')),
      openState: fromPromise(({ input, signal }) => core.noting('open', state.open(input.reason, signal))),
      stageTakeover: fromPromise(() => core.keeping(() => core.stage())),
      publishControl: fromPromise(() => core.keeping(() => core.publish())),
      probeControl: fromPromise(async ({ signal }) => {
        const hello = await askHello(core.options.controlSocket, { timeoutMs: LOOK_MS, signal })
        return { answeredBy: hello === null ? 'nobody' : hello.pid === process.pid ? 'self' : 'other' } as const
      }),
    },
    actions: {
      sendToSupervisor: (_, said) => sendTo(channel, said, core),
      startHeartbeat: () => channel.startBeating(policy.heartbeatPeriodMs),
      stopHeartbeat: () => channel.stopBeating(),
      exitProcess: (_, { status }) => core.exit(status),
      recordUnexpected: (_, { event }) => log.warn({ event }, 'the supervisor said something that is not due now'),
    },
  })

  function sendTo(to: MessageChannel, said: FromSuccessor, { options }: DaemonCore): void {
    if (said.kind === 'Hello') to.send(ownHello('successor', options.buildId ?? ''))
    else if (said.kind === 'Heartbeat') to.send({ type: 'Heartbeat', tsMs: BigInt(Date.now()) })
    else {
      const handoffId = to.handoffId
      if (handoffId === null) return
      const ready = {
        type: 'Ready',
        handoffId,
        listeningOn: listeners.all().map(({ address }) => address),
        healthzOk: said.healthy,
        advertisedRevisionPerShard: said.revisions.map(BigInt),
      } as const
      // Behind the message, where version 1 readers do not look.
      to.send(ready, said.fingerprint === null ? undefined : fingerprintBytes(said.fingerprint))
      setImmediate(() => {
        onReady()
        state.announce()
      })
    }
  }
}

/** Outside the gap. What fails here fails again when the machine asks for it, and is told then. */
function stageEarly(core: DaemonCore): void {
  try {
    core.stage()
  } catch (error) {
    core.log.debug({ err: error }, 'the control socket could not be bound yet')
  }
}

/** What a supervisor's message means to the successor; null: its side never says that. */
export function toSuccessorEvent(message: Message, channel: MessageChannel): SupervisorToSuccessorEvent | null {
  switch (message.type) {
    case 'HelloAck': {
      channel.bindTo(message.handoffId)
      const version = message.protoVersionChosen
      return {
        type: 'supervisor.acknowledged',
        // gap-20: only what both of us speak.
        versionOk: version >= PROTOCOL_VERSION_MIN && version <= PROTOCOL_VERSION_MAX,
      }
    }
    case 'Begin':
      return { type: 'supervisor.began' }
    case 'Commit':
      return { type: 'supervisor.committed' }
    case 'Abort':
      return { type: 'supervisor.aborted' }
    case 'Heartbeat':
      return { type: 'supervisor.beat' }
    default:
      return null
  }
}
