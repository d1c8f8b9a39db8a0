/** What `listeners.x.attach(server)` may refuse or fail at. */
import { errorFactory } from './handoff-error.js'

export const attachErrors = {
  ERR_HANDOFF_ATTACH_USAGE_ALREADY_LISTENING: (listener: string) => ({
    happened: `the server given to listener "${listener}" already listens on a socket of its own`,
    now: 'it was not attached, and the listener keeps queueing clients',
    todo: 'create the server without calling listen(); the daemon listens when it goes live',
  }),
  ERR_HANDOFF_ATTACH_USAGE_ALREADY_ATTACHED: (listener: string, other: string) => ({
    happened: `the server given to listener "${listener}" is already attached to listener "${other}"`,
    now: 'it stays attached to the first one',
    todo: 'create one server per listener; they may share a request handler',
  }),
  ERR_HANDOFF_ATTACH_STATE_SUPERSEDED: (listener: string, asked: string) => ({
    happened: `${asked} was called on a server of listener "${listener}" that a later attach() has replaced`,
    now: 'its connections belong to the newer server',
    todo: 'use the handle that the latest attach() returned',
  }),
  ERR_HANDOFF_ATTACH_STATE_RELEASED: (listener: string, asked: string) => ({
    happened: `${asked} was called on listener "${listener}" after it was released to the successor`,
    now: 'the successor accepts the clients of this listener',
    todo: 'exit, or attach a new server to a new listener',
  }),
  ERR_HANDOFF_ATTACH_LISTEN: (listener: string, fd: number) => ({
    happened: `the server could not listen on a duplicate of listener "${listener}" (fd ${fd})`,
    now: 'clients wait in the queue of the socket, nobody accepts them',
    todo: 'see the cause; a bad fd means it was closed or was never a listening socket',
  }),
  ERR_HANDOFF_ATTACH_ADOPT: (listener: string) => ({
    happened: `a connection handed to listener "${listener}" could not be adopted`,
    now: 'the copy that arrived is closed; the connection goes on in the process that sent it',
    todo: 'see the cause; only connections of plain HTTP/1.1 servers move',
  }),
  ERR_HANDOFF_ATTACH_PEER_MOVE: (what: string) => ({
    happened: `the exchange of live connections was broken off: ${what}`,
    now: 'connections that had been announced stay with the incumbent; none is lost',
    todo: 'nothing, when the peer died or ran out of time; otherwise both programs must be of compatible versions',
  }),
}

export const attachError = errorFactory(attachErrors)
