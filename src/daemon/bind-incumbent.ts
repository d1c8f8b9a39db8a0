/** Binds the incumbent machine to this process: every name in it gets its effect here, and only here. */
import { fromPromise } from 'xstate'
import { incumbentMachine } from '../../machines/handoff/incumbent.machine.js'
import type { FromIncumbent, SupervisorToIncumbentEvent } from '../../machines/handoff/messages.js'
import type { HandoffId, Message } from '../../machines/handoff/protocol.js'
import { askHello } from '../channel/ask-hello.js'
import { fingerprintBytes } from '../channel/fingerprint.js'
import { daemonError } from '../errors/daemon.js'
import { LOG_EVENTS } from '../observe/log.js'
import { encodeTally } from '../wire/connection-tally.js'
import type { DaemonCore } from './core.js'

/** How long one look at the control path may take, ms; the machine looks again anyway. */
const LOOK_MS = 1_000

export function bindIncumbent(core: DaemonCore) {
  const { control, state, listeners, log, policy, moves } = core

  let preparedAt = performance.now()
  const send = (said: FromIncumbent): void => {
    const session = control.session
    if (session?.handoffId == null) return
    const tally = said.kind === 'SealComplete' ? moves.tally() : null
    session.send(toMessage(said, session.handoffId, core.lastError), tally === null ? undefined : encodeTally(tally))
  }

  return incumbentMachine.provide({
    actors: {
      acquireLock: fromPromise(async () => state.acquireLock()),
      openState: fromPromise(async ({ input, signal }) => {
        await core.noting('open', state.open(input.reason, signal))
        return { canResume: state.canResume }
      }),
      publishControl: fromPromise(() =>
        core.keeping(async () => {
          await refuseTakenPath(core)
          core.publish()
        }),
      ),
      copyConnections: fromPromise(async ({ input, signal }) => {
        preparedAt = performance.now()
        if (input.successorPid !== null) moves.keepOnly(input.successorPid)
        await Promise.all([moves.copy(signal), core.surroundings.rehearse(log)])
        // It serves: no longer pause than the collections that it has anyway.
        core.surroundings.collect('young')
      }),
      drain: fromPromise(({ input }) => {
        // An orderly stop copies nothing. Copying and cut belong to the budget, which the supervisor counts too.
        const spentMs = moves.wanted ? performance.now() - preparedAt + Math.min(policy.cutMs, input.budgetMs / 4) : 0
        return core.noting('drain', state.drain(Math.max(0, input.budgetMs - spentMs), moves.wanted))
      }),
      parkConnections: fromPromise(({ signal }) => moves.cut(signal)),
      finishConnections: fromPromise(({ signal }) => moves.finish(signal)),
      seal: fromPromise(() =>
        core.noting(
          'seal',
          state.seal(policy.deadlineMs, (shardsSealed, shardsTotal, lastRevision) => {
            control.session?.send({ type: 'SealProgress', shardsSealed, shardsTotal, lastRevision })
          }),
        ),
      ),
      resume: fromPromise(() => core.noting('resume', state.resume())),
      closeState: fromPromise(() => core.noting('close', state.close())),
      probeControl: fromPromise(async ({ signal }) => {
        const hello = await askHello(core.options.controlSocket, { timeoutMs: LOOK_MS, signal })
        return { answeredBy: hello === null ? 'nobody' : hello.pid === process.pid ? 'self' : 'other' } as const
      }),
    },
    actions: {
      sendToSupervisor: (_, said) => send(said),
      closeSession: () => control.closeSession(),
      republishControl: () => core.republish(),
      takeConnectionsBack: () => moves.takeBack(),
      startAccepting: () => core.mustSucceed('start accepting', listeners.startAccepting()),
      adoptConnections: () => core.incoming.goLive(),
      stopAccepting: () => core.mustSucceed('stop accepting', listeners.stopAccepting()),
      releaseLock: () => state.releaseLock(),
      cancelHook: () => state.cancelHook(),
      startHeartbeat: () => control.session?.startBeating(policy.heartbeatPeriodMs),
      stopHeartbeat: () => control.session?.stopBeating(),
      exitProcess: (_, { status }) => core.exit(status),
      recordUnexpected: (_, { event }) => log.warn({ event }, 'the supervisor said something that is not due now'),
    },
  })
}

/** What a supervisor's message means to the incumbent; null: its side never says that. */
export function toIncumbentEvent(message: Message): SupervisorToIncumbentEvent | null {
  switch (message.type) {
    case 'PrepareHandoff': {
      const decisionBudgetMs = clampMs(message.deadlineMs)
      const drainBudgetMs = Math.min(clampMs(message.drainGraceMs), decisionBudgetMs)
      return {
        type: 'supervisor.requestedDrain',
        successorPid: message.successorPid,
        drainBudgetMs,
        decisionBudgetMs,
      }
    }
    case 'SealRequest':
      return { type: 'supervisor.requestedSeal' }
    case 'Commit':
      return { type: 'supervisor.committed' }
    case 'Abort':
      return { type: 'supervisor.aborted' }
    case 'ResumeAfterAbort':
      return { type: 'supervisor.requestedResume' }
    case 'Heartbeat':
      return { type: 'supervisor.beat' }
    default:
      return null
  }
}

/** A day is longer than any swap; setTimeout and Number take no u64. */
const clampMs = (ms: bigint): number => Number(ms > 86_400_000n ? 86_400_000n : ms)

function toMessage(said: FromIncumbent, handoffId: HandoffId, lastError: Error | null): Message {
  switch (said.kind) {
    case 'Drained':
      return { type: 'Drained', openConnsRemaining: said.openConnections, acceptClosed: said.acceptClosed }
    case 'SealComplete':
      return {
        type: 'SealComplete',
        handoffId,
        lastRevisionPerShard: said.revisions.map(BigInt),
        dataDirFingerprint: fingerprintBytes(said.fingerprint),
      }
    case 'SealFailed':
      return { type: 'SealFailed', handoffId, error: lastError?.message ?? said.failure, partialState: said.failure }
    case 'Heartbeat':
      return { type: 'Heartbeat', tsMs: BigInt(Date.now()) }
  }
}

export function logSaid(core: DaemonCore, event: SupervisorToIncumbentEvent, handoffId: HandoffId | null = null): void {
  const name = {
    'supervisor.requestedDrain': LOG_EVENTS.prepare,
    'supervisor.requestedSeal': LOG_EVENTS.seal,
    'supervisor.committed': LOG_EVENTS.commit,
    'supervisor.aborted': LOG_EVENTS.abort,
    'supervisor.requestedResume': LOG_EVENTS.resume,
  }[event.type as string]
  if (name !== undefined) core.log.info({ event: name, handoffId }, event.type)
}

/** A cold start must not rename over the socket of a daemon that serves other data. */
async function refuseTakenPath(core: DaemonCore): Promise<void> {
  if (core.cold === false) return
  core.cold = false
  const path = core.options.controlSocket
  const hello = await askHello(path, { timeoutMs: LOOK_MS })
  if (hello !== null && hello.pid !== process.pid)
    throw daemonError('ERR_HANDOFF_CONTROL_PATH_TAKEN', [path, hello.pid])
}
