/** Binds the supervisor machine to this process: every name in it gets its effect here, and only here. */
import { fromPromise } from 'xstate'
import { type Look, supervisorMachine } from '../../machines/handoff/supervisor.machine.js'
import { confirmServing, lookAtPath } from '../channel/ask-hello.js'
import { isHandoffError } from '../errors/handoff-error.js'
import { supervisorError } from '../errors/supervisor.js'
import { isAlive } from '../os/processes.js'
import { bindSwap } from './bind-swap.js'
import type { SupervisorCore } from './core.js'
import { findListeners } from './find-listeners.js'
import { factsOf } from './swap-run.js'
import { takeListeners } from './take-listeners.js'

/** One look at the control path, ms: a serving primitive greets at once, a silent one is asked again by the machine. */
const LOOK_MS = 1_000

export function bindSupervisor(core: SupervisorCore) {
  const { options, processes, listeners, journal, log } = core
  return supervisorMachine.provide({
    actors: {
      readJournal: fromPromise(() => core.noting(async () => core.readJournal())),
      lookAround: fromPromise(async ({ input, signal }): Promise<Look> => {
        const { hello, holderPid, isBusy } = await lookAtPath(options.controlSocket, { timeoutMs: LOOK_MS, signal })
        if (hello !== null) core.remember(factsOf(hello))
        else if (holderPid !== null || isBusy) core.noteMute(holderPid)
        if (isBusy) throw new Error('the queue of the control socket is full')
        const holder = holderPid === null || input.pids.includes(holderPid) ? [] : [holderPid]
        return { answeringPid: hello?.pid ?? null, livingPids: [...input.pids.filter(isAlive), ...holder] }
      }),
      takeListeners: fromPromise(({ input: { pid } }) =>
        core.noting(async () => {
          const given = await takeListeners(options.controlSocket, pid, log)
          try {
            listeners.complete(given, (missing) => findListeners(pid, missing, log))
          } catch (error) {
            if (!isAlive(pid)) throw error
            const why = isHandoffError(error) ? error.happened : String(error)
            throw supervisorError('ERR_HANDOFF_STATE_LISTENERS_KEPT', [pid, why], error)
          }
        }),
      ),
      bindListeners: fromPromise(() =>
        core.noting(async () => {
          core.endInterrupted(null)
          listeners.complete([])
        }),
      ),
      // Asked every few moments, and told the first time.
      rebindListeners: fromPromise(async () => listeners.complete([])),
      recordStart: fromPromise(() =>
        core.recordStart().catch((err: unknown) => {
          log.warn({ err }, 'the journal could not be written')
          throw err
        }),
      ),
      fence: fromPromise(async ({ input }) => {
        for (const pid of input.pids.filter(isAlive)) {
          log.warn({ primitivePid: pid }, 'a process of an unfinished swap neither serves nor ends; it is killed')
          processes.watch(pid)
          processes.signal(pid, 'SIGKILL')
          await processes.gone(pid)
        }
      }),
      startPrimitive: fromPromise(({ input }) => core.noting(() => core.startPrimitive(input.build))),
      confirmServing: fromPromise(async ({ input, signal }) => {
        const look = { pollMs: core.policy.confirmPollMs, timeoutMs: LOOK_MS, signal }
        core.remember(factsOf(await confirmServing(options.controlSocket, input.pid, look)))
      }),
      startRehearsed: fromPromise(() => core.rehearsal.spawn()),
      swap: bindSwap(() => core.run),
    },
    actions: {
      watchPrimitive: (_, { pid }) => core.adopt(pid),
      retireIncumbent: (_, { pid }) => core.retire(pid),
      retireLeftovers: (_, { pids }) => {
        for (const pid of pids) core.retire(pid)
      },
      signalPrimitive: ({ context }, { signal }) => {
        if (context.primitivePid !== null) processes.signal(context.primitivePid, signal)
      },
      clearJournal: () => journal.clear(),
      reportOutcome: (_, output) => core.report(output),
      refuseSwap: () => core.refuse(),
      cancelSwap: () => core.cancelSwap(),
      sendToRehearsed: () => core.rehearsal.abort(),
      signalRehearsed: () => core.rehearsal.terminate(),
      endRehearsed: () => core.rehearsal.end(),
      reportRehearsal: (_, { failure }) => core.reportRehearsal(failure),
    },
  })
}
