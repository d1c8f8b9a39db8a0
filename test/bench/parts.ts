/** The parts by themselves: frames through the codec, descriptors through a socket. */
import { FdSocket, MAX_FDS_PER_MESSAGE } from '../../src/os/fd-socket.js'
import { closeFd, dup, streamPair } from '../../src/os/fds.js'
import { encodeMessage, HandoffDecoder } from '../../src/wire/handoff.js'
import type { BenchOptions } from './options.js'
import { type Row, row } from './table.js'

const FRAMES = 20_000
const MESSAGES = 40
const handoffId = '00112233-4455-4677-8899-aabbccddeeff'

const ready = {
  type: 'Ready',
  handoffId,
  listeningOn: ['127.0.0.1:8080', '[::1]:8080'],
  healthzOk: true,
  advertisedRevisionPerShard: [1n, 2n ** 40n],
} as const

export async function benchParts({ rounds, warmUp }: BenchOptions): Promise<Row[]> {
  const encoded: number[] = []
  const decoded: number[] = []
  const passed: number[] = []
  for (let round = 0; round < rounds + warmUp; round += 1) {
    const rates = [encodeRate(), decodeRate(), await passRate()] as const
    if (round < warmUp) continue
    encoded.push(rates[0])
    decoded.push(rates[1])
    passed.push(rates[2])
  }
  return [
    row('codec', 'Ready encoded', 'k frames/s', { ours: encoded }),
    row('codec', 'Ready decoded', 'k frames/s', { ours: decoded }),
    row('fd-passing', `${MAX_FDS_PER_MESSAGE} a message, sent, received, closed`, 'k fds/s', { ours: passed }),
  ]
}

const perMs = (count: number, began: number): number => count / (performance.now() - began)

function encodeRate(): number {
  const began = performance.now()
  for (let i = 0; i < FRAMES; i += 1) encodeMessage(ready)
  return perMs(FRAMES, began)
}

function decodeRate(): number {
  const frame = encodeMessage(ready)
  const decoder = new HandoffDecoder()
  let seen = 0
  const began = performance.now()
  for (let i = 0; i < FRAMES; i += 1)
    for (const { message } of decoder.push(frame)) if (message.type === 'Ready') seen += 1
  const rate = perMs(seen, began)
  if (seen !== FRAMES) throw new Error(`${seen} of ${FRAMES} frames came through`)
  return rate
}

async function passRate(): Promise<number> {
  const [a, b] = streamPair().map((fd) => new FdSocket(fd)) as [FdSocket, FdSocket]
  const fds = Array.from({ length: MAX_FDS_PER_MESSAGE }, () => dup(0))
  const began = performance.now()
  let received = 0
  try {
    for (let i = 0; i < MESSAGES; i += 1) {
      await a.sendWithFds(Buffer.from('.\n'), fds, { timeoutMs: 10_000 })
      const line = await b.readLine(16, { timeoutMs: 10_000, maxFds: MAX_FDS_PER_MESSAGE })
      for (const fd of line?.fds ?? []) closeFd(fd)
      received += line?.fds.length ?? 0
    }
    return perMs(received, began)
  } finally {
    for (const fd of fds) closeFd(fd)
    a.close()
    b.close()
  }
}
