/** The frames of a swap, encoded beforehand, and the least that tells them apart. */
import { markFrames } from './marks.mjs'

const { encodeMessage } = await import(`${process.env.HANDOFF_COMPILED}/dist/src/wire/handoff.js`)

const handoffId = '00112233-4455-4677-8899-aabbccddeeff'
const hello = (role) => ({
  type: 'Hello',
  role,
  pid: process.pid,
  buildId: new Uint8Array(),
  protoMin: 1,
  protoMax: 1,
  capabilities: 1n,
})
const messages = {
  HelloIncumbent: hello('incumbent'),
  HelloSuccessor: hello('successor'),
  HelloAck: { type: 'HelloAck', protoVersionChosen: 1, handoffId },
  PrepareHandoff: { type: 'PrepareHandoff', handoffId, successorPid: 1, deadlineMs: 60000n, drainGraceMs: 5000n },
  Drained: { type: 'Drained', openConnsRemaining: 0, acceptClosed: true },
  SealRequest: { type: 'SealRequest', handoffId },
  SealComplete: {
    type: 'SealComplete',
    handoffId,
    lastRevisionPerShard: [1n],
    dataDirFingerprint: new Uint8Array(32),
  },
  Begin: { type: 'Begin', handoffId },
  Ready: {
    type: 'Ready',
    handoffId,
    listeningOn: ['127.0.0.1:8080'],
    healthzOk: true,
    advertisedRevisionPerShard: [1n],
  },
  Commit: { type: 'Commit', handoffId },
}
export const frames = Object.fromEntries(
  Object.entries(messages).map(([name, message]) => [name, Buffer.from(encodeMessage(message))]),
)

const NAMES = new Map(Object.values(frames).map((frame, i) => [frame[6], Object.values(messages)[i].type]))

export function send(socket, frame) {
  markFrames('out', frame)
  socket.write(frame)
}

/** No frame of a swap is ever cut in two on a local socket: none is longer than a page. */
export function onFrames(socket, onFrame) {
  socket.on('error', () => {})
  socket.on('data', (bytes) => {
    markFrames('in', bytes)
    for (let at = 0; at < bytes.length; at += 4 + bytes.readUInt32LE(at)) onFrame(NAMES.get(bytes[at + 6]))
  })
}
