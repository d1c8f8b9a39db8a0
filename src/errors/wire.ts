/** What bytes can get wrong: on the channel (a peer did it), in the journal file, or in what our caller asked to encode. */
import { errorFactory } from './handoff-error.js'

const refused = 'nothing of it was used and this connection is finished'
const checkPeer = 'check that the program on the other end speaks handoff wire version 1'

export const wireErrors = {
  ERR_HANDOFF_PEER_FRAME_MALFORMED: (declared: number) => ({
    happened: `the peer declared a frame of ${declared} bytes, too short for its version field`,
    now: refused,
    todo: checkPeer,
  }),
  ERR_HANDOFF_PEER_FRAME_TOO_LARGE: (declared: number, cap: number) => ({
    happened: `the peer declared a frame of ${declared} bytes, above the cap of ${cap}`,
    now: `${refused}; no memory was set aside for it`,
    todo: checkPeer,
  }),
  ERR_HANDOFF_PEER_STREAM_TRUNCATED: (received: number) => ({
    happened: `the peer closed its end ${received} bytes into a frame`,
    now: 'the frames before it were delivered, this one was not',
    todo: "read the peer's log: it most likely died while writing",
  }),
  ERR_HANDOFF_PEER_PAYLOAD_TRUNCATED: (where: string) => ({
    happened: `a message of the peer ends before its fields do (${where})`,
    now: refused,
    todo: checkPeer,
  }),
  ERR_HANDOFF_PEER_PAYLOAD_VARINT: (where: string) => ({
    happened: `a message of the peer holds an integer that does not fit its type (${where})`,
    now: refused,
    todo: checkPeer,
  }),
  ERR_HANDOFF_PEER_PAYLOAD_BOOL: (where: string) => ({
    happened: `a message of the peer holds a bool that is neither 0 nor 1 (${where})`,
    now: refused,
    todo: checkPeer,
  }),
  ERR_HANDOFF_PEER_PAYLOAD_OPTION: (where: string) => ({
    happened: `a message of the peer holds an option tag that is neither 0 nor 1 (${where})`,
    now: refused,
    todo: checkPeer,
  }),
  ERR_HANDOFF_PEER_PAYLOAD_UTF8: (where: string) => ({
    happened: `a message of the peer holds text that is not UTF-8 (${where})`,
    now: refused,
    todo: checkPeer,
  }),
  ERR_HANDOFF_PEER_PAYLOAD_VALUE: (where: string) => ({
    happened: `a message of the peer holds a value that version 1 does not know (${where})`,
    now: refused,
    todo: checkPeer,
  }),
  ERR_HANDOFF_STATE_JOURNAL_MALFORMED: (where: string) => ({
    happened: `the supervisor's journal does not decode (${where})`,
    now: 'what was under way when it was written is unknown; the data-dir lock and the control socket still tell who serves',
    todo: 'set the file aside and look at the control socket before starting anything',
  }),
  ERR_HANDOFF_USAGE_WIRE_FIELD: (field: string, value: string, expected: string) => ({
    happened: `${field} is ${value}, the wire needs ${expected}`,
    now: 'nothing was encoded',
    todo: `pass ${expected}`,
  }),
  ERR_HANDOFF_USAGE_WIRE_MESSAGE_TYPE: (type: string) => ({
    happened: `there is no message '${type}' in wire version 1`,
    now: 'nothing was encoded',
    todo: 'use one of MESSAGE_TYPES',
  }),
  ERR_HANDOFF_USAGE_FRAME_TOO_LARGE: (needed: number, cap: number) => ({
    happened: `the message needs at least ${needed} bytes, above the cap of ${cap}`,
    now: 'nothing was encoded',
    todo: 'shorten its texts or vectors; every reader refuses such a frame',
  }),
  ERR_HANDOFF_USAGE_DECODER_ENDED: () => ({
    happened: 'bytes were pushed into a decoder after end()',
    now: 'they were dropped',
    todo: 'use one decoder per connection',
  }),
}

export const wireError = errorFactory(wireErrors)
