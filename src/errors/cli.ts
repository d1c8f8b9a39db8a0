/** What the commands say to the person who typed them. */
import { errorFactory } from './handoff-error.js'

const NOTHING_DONE = 'nothing was done'

export const cliErrors = {
  ERR_HANDOFF_USAGE_COMMAND: (typed: string, hint: string) => ({
    happened: `'${typed}' is no command`,
    now: NOTHING_DONE,
    todo: hint,
  }),
  ERR_HANDOFF_USAGE_FLAG: (problem: string, hint: string) => ({
    happened: problem,
    now: NOTHING_DONE,
    todo: hint,
  }),
  ERR_HANDOFF_SUPERVISOR_UNREACHABLE: (path: string, why: string) => ({
    happened: `no supervisor answers on ${path} (${why})`,
    now: 'nothing was changed; whoever served before still does',
    todo: "start one with 'handoff supervise', or name its trigger socket with --socket",
  }),
  ERR_HANDOFF_SUPERVISOR_SILENT: (path: string, ms: number) => ({
    happened: `the supervisor on ${path} took the request and said nothing for ${ms} ms`,
    now: 'whether it will still act on it is unknown; whoever served before still does',
    todo: 'see whether its process is stopped or blocked',
  }),
  ERR_HANDOFF_INTERRUPTED: () => ({
    happened: 'interrupted while a swap was under way',
    now: 'the swap goes on without this command',
    todo: "see how it ended with 'handoff status'",
  }),
  ERR_HANDOFF_SUPERVISOR_LOST: (path: string) => ({
    happened: `the supervisor on ${path} closed the connection before it told how it ended`,
    now: 'the outcome is unknown here; a swap under way goes on without this command',
    todo: "ask again with 'handoff status'",
  }),
  ERR_HANDOFF_NO_HISTORY: () => ({
    happened: 'no log of swaps is kept here',
    now: NOTHING_DONE,
    todo: "name a 'journal' or a 'history' in handoff.toml and restart the supervisor",
  }),
  ERR_HANDOFF_HISTORY_UNREADABLE: (path: string, why: string) => ({
    happened: `the log of swaps ${path} could not be read (${why})`,
    now: NOTHING_DONE,
    todo: 'read it as the user the supervisor runs as',
  }),
  ERR_HANDOFF_NO_SUCH_SWAP: (id: string, known: number) => ({
    happened: `no swap on record is ${id} (there are ${known})`,
    now: NOTHING_DONE,
    todo: "'handoff history' lists the ids",
  }),
  ERR_HANDOFF_USAGE_TRACE: (path: string, why: string) => ({
    happened: `${path} is no trace (${why})`,
    now: NOTHING_DONE,
    todo: 'name a file or a directory that a program wrote because HANDOFF_TRACE named it',
  }),
  ERR_HANDOFF_USAGE_PATH: (path: string, why: string) => ({
    happened: `${path} is no way through the explored world (${why})`,
    now: NOTHING_DONE,
    todo: "name a file that 'handoff check --save' or 'handoff paths --json' wrote",
  }),
  ERR_HANDOFF_PAGE_MISSING: () => ({
    happened: 'the inspector page was not built',
    now: 'nothing was started',
    todo: "run 'npm run build' in the package's directory",
  }),
  ERR_HANDOFF_USAGE_REFUSED: (path: string, text: string) => ({
    happened: `the supervisor on ${path} refused: ${text}`,
    now: NOTHING_DONE,
    todo: `do as it says; if it is another implementation, ask it by: echo handoff | socat -t 300 - UNIX-CONNECT:${path}`,
  }),
  ERR_HANDOFF_PEER_TRIGGER_ANSWER: (path: string, line: string) => ({
    happened: `what answers on ${path} is no supervisor of this package; it said: ${line}`,
    now: NOTHING_DONE,
    todo: `for another implementation: echo handoff | socat -t 300 - UNIX-CONNECT:${path}`,
  }),
}

export const cliError = errorFactory(cliErrors)
