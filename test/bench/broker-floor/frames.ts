/** The five frames with everything fixed: the floor neither encodes nor decodes. */
import { ackBytes, helloBytes, helloReplyBytes, offerBytes, readyBytes } from '../../../src/wire/broker/envelope.js'

export const TOKEN = Buffer.alloc(16, 7)
const correlationId = 1n
const hello = (adopt: boolean): Buffer =>
  helloBytes({
    clientMinProtocol: 1,
    clientMaxProtocol: 1,
    serviceName: 'kv',
    wantedVersion: '1.0.0',
    clientCapabilities: adopt ? 1n : 0n,
    requestId: 'hello',
    peerPid: 1_000,
    clientLibName: 'handoff-machines',
    clientLibVersion: '0.1.0',
  })
export const HELLO_HANDOFF = hello(true)
export const HELLO_PLAIN = hello(false)
export const reply = (pipe: string, adopt: boolean): Buffer =>
  helloReplyBytes(
    {
      negotiated: {
        negotiatedProtocol: 1,
        daemonVersion: '1.0.0',
        backendPipe: pipe,
        warnings: [],
        serverCapabilities: adopt ? 1n : 0n,
        keepaliveIntervalSecs: 1_800n,
        handlePassedToken: adopt ? TOKEN : new Uint8Array(0),
        connectionId: 1n,
      },
    },
    { requestId: 1n, traceparent: '', tracestate: '' },
  )
export const OFFER = offerBytes({ token: TOKEN, serviceName: 'kv', correlationId })
export const ACK = ackBytes({ token: TOKEN, accepted: true, correlationId })
export const EVENT = readyBytes(TOKEN, correlationId)
