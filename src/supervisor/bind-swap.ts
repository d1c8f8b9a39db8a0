/** Binds the swap machine: every name in it gets its effect here, and only here. Each swap has a run of its own. */
import { fromPromise } from 'xstate'
import { swapMachine } from '../../machines/handoff/swap.machine.js'
import { askHello, confirmServing } from '../channel/ask-hello.js'
import { factsOf, type SwapRun } from './swap-run.js'

/** A single look in mid-swap must not outlast the phase that asks for it, ms. */
const LOOK_MS = 1_000

/** @param current the run of the swap that the machine is about */
export function bindSwap(current: () => SwapRun) {
  return swapMachine.provide({
    actors: {
      writeJournal: fromPromise(({ input }) => {
        const run = current()
        return run.noting('ERR_HANDOFF_JOURNAL_WRITE', run.options.journal.write(run.record(input.phase)))
      }),
      spawnSuccessor: fromPromise(() => current().noting('ERR_HANDOFF_SPAWN', current().spawn())),
      dialIncumbent: fromPromise(() => current().noting('ERR_HANDOFF_INCUMBENT_UNREACHABLE', current().dial())),
      confirmServing: fromPromise(async ({ input, signal }) => {
        const run = current()
        const { controlSocket, policy } = run.options
        const look = { pollMs: policy.confirmPollMs, timeoutMs: LOOK_MS, signal }
        const hello = await confirmServing(controlSocket, input.pid, look)
        if (input.role === 'successor') run.successorFacts = factsOf(hello)
      }),
      probeControl: fromPromise(async ({ signal }) => {
        const run = current()
        return { answeredBy: run.whoIs(await askHello(run.options.controlSocket, { timeoutMs: LOOK_MS, signal })) }
      }),
    },
    actions: {
      sendToIncumbent: (_, said) => current().sendToIncumbent(said),
      sendToSuccessor: (_, said) => current().sendToSuccessor(said),
      closeIncumbentSession: () => current().closeIncumbent(),
      closeSuccessorChannel: () => current().closeSuccessor(),
      signalSuccessor: (_, { signal }) => current().signal('successor', signal),
      signalIncumbent: (_, { signal }) => current().signal('incumbent', signal),
      recordJournal: (_, { phase }) => current().options.journal.record(current().record(phase)),
      clearJournal: () => current().options.journal.clear(),
      watchSuccessor: () => void current().watchSuccessor(),
      recordUnexpected: (_, { event }) => current().options.log.debug({ event }, 'came when nobody waited for it'),
    },
  })
}
