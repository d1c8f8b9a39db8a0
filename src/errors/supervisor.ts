/** Errors of the supervisor's door. */
import { errorFactory } from './handoff-error.js'

export const supervisorErrors = {
  ERR_HANDOFF_USAGE_SUPERVISOR_OPTION: (option: string, problem: string) => ({
    happened: `createSupervisor: ${option} ${problem}`,
    now: 'nothing was bound or started',
    todo: 'correct the option',
  }),
  ERR_HANDOFF_STATE_SWAP_REFUSED: (state: string) => ({
    happened: `a swap was asked for while the supervisor is ${state}`,
    now: 'nothing was changed',
    todo: "look at 'handoff status' and ask again when somebody serves",
  }),
  ERR_HANDOFF_STATE_REHEARSAL_REFUSED: (state: string) => ({
    happened: `a rehearsal was asked for while the supervisor is ${state}`,
    now: 'nothing was started; what was under way goes on',
    todo: "look at 'handoff status' and ask again when a process serves and nothing else is under way",
  }),
  ERR_HANDOFF_START_FAILED: (why: string) => ({
    happened: `the supervisor could not start: ${why}`,
    now: 'it holds no listener and has started nothing',
    todo: 'mend what the sentence names and start it again',
  }),
  ERR_HANDOFF_STATE_SUPERVISOR_DIED: (doing: string, whoServes: string) => ({
    happened: `the supervisor ended while it was ${doing}`,
    now: whoServes,
    todo: 'look into why the supervisor ended; swap again if the outcome is not the wanted one',
  }),
  ERR_HANDOFF_STATE_LISTENERS_KEPT: (pid: number, why: string) => ({
    happened: `process ${pid} serves and did not give all of its listeners back, and they cannot be bound beside it: ${why}`,
    now: 'it serves on as before, without a supervisor',
    todo: 'let the supervisor copy them (CAP_SYS_PTRACE, or kernel.yama.ptrace_scope=0), free the address that is taken, or end the program first',
  }),
  ERR_HANDOFF_STATE_MUTE_HOLDER: (who: string, path: string) => ({
    happened: `${who} listens on ${path} and does not say that it serves`,
    now: 'the supervisor waits for it; nothing is started beside it',
    todo: 'continue it if it is stopped; end it if it is not the program of this supervisor',
  }),
  ERR_HANDOFF_STOPPED: () => ({
    happened: 'the supervisor was stopped meanwhile',
    now: 'its listeners are closed',
    todo: 'start it again',
  }),
} as const

export const supervisorError = errorFactory(supervisorErrors)
