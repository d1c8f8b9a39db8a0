/** Errors of a control connection. */
import { errorFactory } from './handoff-error.js'

export const channelErrors = {
  ERR_HANDOFF_PEER_WRONG_ID: (type: string, got: string, expected: string) => ({
    happened: `the peer's ${type} names handoff ${got}, but this session is about ${expected}`,
    now: 'the session is closed and the swap it belonged to is undone',
    todo: 'look which program speaks on the control socket; two supervisors must not share one',
  }),
  ERR_HANDOFF_PEER_UNEXPECTED: (type: string) => ({
    happened: `the peer sent ${type}, which its side never says`,
    now: 'the session is closed and the swap it belonged to is undone',
    todo: 'look which program speaks on the control socket, and in which version',
  }),
  ERR_HANDOFF_PEER_FLOOD: (burst: number, perSecond: number) => ({
    happened: `the peer sent more than ${burst} messages at once, or more than ${perSecond} a second`,
    now: 'its connection is closed, a swap that it conducted is undone; nobody else was kept waiting',
    todo: 'look which program speaks on the control socket; a supervisor says a few messages a swap, and a heartbeat now and then',
  }),
  ERR_HANDOFF_PEER_UID: (uid: number, allowed: string) => ({
    happened: `a process of uid ${uid} connected to the control socket`,
    now: 'it was turned away before a byte was read; nothing else changed',
    todo: `only ${allowed} may: add the uid to allowed_uids if this was meant`,
  }),
} as const

export const channelError = errorFactory(channelErrors)
