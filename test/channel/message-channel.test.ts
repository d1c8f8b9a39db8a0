import { afterEach, describe, expect, test } from 'vitest'
import type { Message } from '../../machines/handoff/protocol.js'
import { MESSAGES_PER_TURN, MessageChannel } from '../../src/channel/message-channel.js'
import { ByteChannel } from '../../src/os/byte-channel.js'
import { streamPair } from '../../src/os/fds.js'
import { encodeMessage } from '../../src/wire/handoff.js'

const beats = (count: number) =>
  Buffer.concat(Array.from({ length: count }, (_, i) => encodeMessage({ type: 'Heartbeat', tsMs: BigInt(i) })))

const open: { close(): void }[] = []
afterEach(() => {
  for (const channel of open.splice(0)) channel.close()
})

/** One end that understands, one end that says anything, and everything heard so far under the end's name. */
function pair(name: string, heard: string[], flood?: { burst: number; perSecond: number }) {
  const [ours, theirs] = streamPair()
  const peer = new ByteChannel(theirs, { onData() {}, onEnd() {} }, { writeLimitBytes: 64 * 1024 * 1024 })
  let ended = () => {}
  const over = new Promise<void>((resolve) => {
    ended = resolve
  })
  const note = (what: string) => {
    heard.push(`${name} ${what}`)
    ended()
  }
  const handlers = {
    onMessage: (message: Message) => void heard.push(`${name} ${'tsMs' in message ? message.tsMs : message.type}`),
    onEnd: () => note('end'),
    onViolation: (error: Error) => note((error as NodeJS.ErrnoException).code ?? 'no code'),
  }
  const channel = new MessageChannel(ours, handlers, flood ? { flood } : {})
  open.push(channel, peer)
  return { channel, peer, over }
}

describe('a channel that is flooded', () => {
  test('keeps no other one waiting: it is left alone after each part, and delivers all of it in order', async () => {
    const heard: string[] = []
    const count = MESSAGES_PER_TURN * 20
    const flooded = pair('flooded', heard)
    const quiet = pair('quiet', heard)
    flooded.peer.write(beats(count))
    quiet.peer.write(beats(1))
    await flooded.peer.flushed()
    flooded.peer.close()
    await flooded.over
    expect(heard.indexOf('quiet 0')).toBeLessThanOrEqual(2 * MESSAGES_PER_TURN)
    const inOrder = [...Array.from({ length: count }, (_, i) => `flooded ${i}`), 'flooded end']
    expect(heard.filter((what) => what.startsWith('flooded'))).toEqual(inOrder)
  })

  test('is violated once its peer has said more than it may, and not before', async () => {
    const heard: string[] = []
    // As good as none comes in while this runs.
    const { peer, over } = pair('peer', heard, { burst: 500, perSecond: 0.001 })
    peer.write(beats(500))
    await peer.flushed()
    while (heard.length < 500) await new Promise((resolve) => setImmediate(resolve))
    expect(heard.at(-1)).toBe('peer 499')
    peer.write(beats(3))
    await over
    expect(heard.slice(500)).toEqual(['peer ERR_HANDOFF_PEER_FLOOD'])
  })

  test('may be closed in the middle of it: nothing comes any more', async () => {
    const heard: string[] = []
    const { channel, peer } = pair('peer', heard)
    peer.write(beats(MESSAGES_PER_TURN * 4))
    while (heard.length < MESSAGES_PER_TURN) await new Promise((resolve) => setImmediate(resolve))
    channel.close()
    const before = heard.length
    for (let turn = 0; turn < 5; turn += 1) await new Promise((resolve) => setImmediate(resolve))
    expect(heard).toHaveLength(before)
  })
})
