/** What can be wrong with bytes of the broker protocol. */
import type { EnvelopeFault } from '../../machines/broker/protocol.js'
import { errorFactory } from './handoff-error.js'

export const brokerWireErrors = {
  ERR_HANDOFF_BROKER_PEER_FRAMING_VERSION: (version: number) => ({
    happened: `the peer sent framing version ${version}, only 1 exists`,
    now: 'nothing more was read from it',
    todo: 'check that the socket speaks the broker protocol',
  }),
  ERR_HANDOFF_BROKER_PEER_FRAME_TOO_LARGE: (length: number, max: number) => ({
    happened: `the peer announced a frame of ${length} bytes, ${max} are allowed here`,
    now: 'its body was neither read nor given memory',
    todo: 'check what the peer sends',
  }),
  ERR_HANDOFF_BROKER_PEER_UNDECODABLE: (message: string, length: number) => ({
    happened: `${length} bytes do not decode as ${message}`,
    now: 'nothing of the message was used',
    todo: 'check that both ends use version 1 of the schema',
  }),
  ERR_HANDOFF_BROKER_PEER_ENVELOPE: (fault: EnvelopeFault) => ({
    happened: `the peer sent a frame whose ${fault} does not belong here`,
    now: 'its payload was not looked at',
    todo: 'check that the socket is the one this message belongs to',
  }),
  ERR_HANDOFF_BROKER_USAGE_FRAME_TOO_LARGE: (length: number) => ({
    happened: `a frame of ${length} bytes was to be written, 16777216 are allowed`,
    now: 'nothing was written',
    todo: 'send less in one message',
  }),
}

export const brokerWireError = errorFactory(brokerWireErrors)
