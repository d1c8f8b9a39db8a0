import { fstatSync } from 'node:fs'
import { afterEach, describe, expect, test } from 'vitest'
import { FdSocket, MAX_FDS_PER_MESSAGE } from '../../src/os/fd-socket.js'
import { closeFd, streamPair } from '../../src/os/fds.js'
import { native } from '../../src/os/native.js'
import { checkLeaks, ownFds, until } from './support.js'

checkLeaks()

const closers: (() => void)[] = []
afterEach(() => {
  for (const close of closers.splice(0)) close()
})
function pair(): [FdSocket, FdSocket] {
  const [a, b] = streamPair().map((fd) => new FdSocket(fd)) as [FdSocket, FdSocket]
  closers.push(() => {
    a.close()
    b.close()
  })
  return [a, b]
}
/** Something to send, closed with the test. */
function cargo(count: number): number[] {
  const fds = Array.from({ length: count }, () => native.socket(native.constants.AF_INET, native.constants.SOCK_STREAM))
  closers.push(() => {
    for (const fd of fds) closeFd(fd)
  })
  return fds
}
function keep(fds: readonly number[]): readonly number[] {
  closers.push(() => {
    for (const fd of fds) closeFd(fd)
  })
  return fds
}
const bytes = (text: string): Uint8Array => Buffer.from(text)
const text = (from: Uint8Array): string => Buffer.from(from).toString()
const inodes = (fds: readonly number[]): number[] => fds.map((fd) => fstatSync(fd).ino)

test('sixteen bytes and one descriptor, and not one byte of what follows', async () => {
  const [a, b] = pair()
  const [fd] = cargo(1) as [number]
  await a.sendWithFds(bytes('0123456789abcdef'), [fd])
  await a.sendWithFds(bytes('the frame'), [])
  const token = await b.readExactly(16, { maxFds: 1 })
  keep(token.fds)
  expect(text(token.bytes)).toBe('0123456789abcdef')
  expect(inodes(token.fds)).toEqual(inodes([fd]))
  expect(native.pendingBytes(b.fd)).toBe(9)
  const raw = b.detach()
  keep([raw])
  const rest = new Uint8Array(16)
  expect(text(rest.subarray(0, native.recv(raw, rest)))).toBe('the frame')
})

test('exact reads wait for bytes that trickle in', async () => {
  const [a, b] = pair()
  const reading = b.readExactly(4)
  for (const letter of 'abcd') {
    await a.sendWithFds(bytes(letter), [])
    await new Promise((resolve) => setImmediate(resolve))
  }
  expect(text((await reading).bytes)).toBe('abcd')
})

test('JSON lines with descriptors, answered in turns', async () => {
  const [client, primitive] = pair()
  const fds = cargo(3)
  const serving = (async () => {
    const request = await primitive.readLine(1024)
    expect(text(request?.bytes as Uint8Array)).toBe('{"v":1,"want":"listeners"}')
    await primitive.sendWithFds(bytes('{"v":1,"listeners":["a","b","c"]}\n'), fds)
    return text((await primitive.readLine(1024))?.bytes as Uint8Array)
  })()
  await client.sendWithFds(bytes('{"v":1,"want":"listeners"}\n'), [])
  const answer = await client.readLine(1024)
  expect(text(answer?.bytes as Uint8Array)).toBe('{"v":1,"listeners":["a","b","c"]}')
  expect(inodes(keep(answer?.fds as number[]))).toEqual(inodes(fds))
  await client.sendWithFds(bytes('{"received":3}\n'), [])
  expect(await serving).toBe('{"received":3}')
  client.close()
  expect(await primitive.readLine(1024)).toBeNull()
})

test('ten thousand descriptors pass in batches, each acknowledged, and none is left over', async () => {
  const [a, b] = pair()
  const fds = Array<number>(MAX_FDS_PER_MESSAGE).fill(a.fd)
  const before = ownFds()
  for (let batch = 0; batch < 40; batch += 1) {
    await a.sendWithFds(bytes(`{"batch":${batch}}\n`), fds)
    const got = await b.readLine(100)
    expect(got?.fds).toHaveLength(MAX_FDS_PER_MESSAGE)
    for (const fd of got?.fds ?? []) closeFd(fd)
    await b.sendWithFds(bytes('{"received":253}\n'), [])
    expect(text((await a.readLine(100))?.bytes as Uint8Array)).toBe('{"received":253}')
  }
  expect(ownFds()).toEqual(before)
})

test('several lines in one piece are told apart', async () => {
  const [a, b] = pair()
  await a.sendWithFds(bytes('one\ntwo\nthr'), [])
  expect(text((await b.readLine(10))?.bytes as Uint8Array)).toBe('one')
  expect(() => b.detach()).toThrow(RangeError)
  expect(text((await b.readLine(10))?.bytes as Uint8Array)).toBe('two')
  expect(text((await b.readExactly(2)).bytes)).toBe('th')
  expect(text((await b.receive(10))?.bytes as Uint8Array)).toBe('r')
})

test('without waiting: what was said lies there whole, also from an end that is gone', async () => {
  const [a, b] = pair()
  expect(b.linesNow(100)).toEqual({ lines: [], ended: false })
  const readable = b.readable()
  expect(a.sendNow(bytes('one\ntwo\nhalf'))).toBe(true)
  await readable
  const early = b.linesNow(100)
  expect([early.lines.map(text), early.ended]).toEqual([['one', 'two'], false])
  // Unread on its side: the kernel resets the stream, and still gives what was said before.
  expect(b.sendNow(bytes('never read\n'))).toBe(true)
  expect(a.sendNow(bytes(' a line\n'))).toBe(true)
  a.close()
  const late = b.linesNow(100)
  expect([late.lines.map(text), late.ended]).toEqual([['half a line'], true])
  expect(() => b.sendNow(bytes('x'))).toThrow(/EPIPE/)
})

test('without waiting: a line that was broken off is told, one that is too long or brings descriptors is refused', () => {
  const [a, b] = pair()
  a.sendNow(bytes('broken o'))
  a.close()
  expect(b.linesNow(100).lines.map(text)).toEqual(['broken o'])
  const [c, d] = pair()
  c.sendNow(bytes('x'.repeat(200)))
  expect(() => d.linesNow(100)).toThrow(expect.objectContaining({ code: 'ERR_HANDOFF_FDS_UNEXPECTED' }))
})

test('without waiting: a full socket says so', () => {
  const [a] = pair()
  const piece = Buffer.alloc(64 * 1024)
  let sent = 0
  while (a.sendNow(piece)) sent++
  expect(sent).toBeGreaterThan(0)
  expect(a.sendNow(bytes('x'))).toBe(false)
})

test('a full socket makes the sender wait, not fail', async () => {
  const [a, b] = pair()
  const big = Buffer.alloc(3_000_000, 'z')
  const sending = a.sendWithFds(big, cargo(2))
  const got = await b.readExactly(big.length)
  keep(got.fds)
  await sending
  expect(Buffer.from(got.bytes).equals(big)).toBe(true)
  expect(got.fds).toHaveLength(2)
})

describe('what goes wrong closes what had arrived', () => {
  test('more descriptors than asked for: truncation is an error, not a loss', async () => {
    const [a, b] = pair()
    const before = ownFds()
    await a.sendWithFds(bytes('0123456789abcdef'), Array<number>(8).fill(a.fd))
    await expect(b.readExactly(16, { maxFds: 1 })).rejects.toMatchObject({ code: 'ERR_HANDOFF_FDS_TRUNCATED' })
    expect(ownFds()).toEqual(before)
  })

  test('receive() itself only says so', async () => {
    const [a, b] = pair()
    await a.sendWithFds(bytes('x'), Array<number>(8).fill(a.fd))
    const got = await b.receive(1, { maxFds: 2 })
    keep(got?.fds as number[])
    expect(got).toMatchObject({ truncated: true })
  })

  test('two descriptors in the room that padding leaves are still one too many', async () => {
    const [a, b] = pair()
    const before = ownFds()
    await a.sendWithFds(bytes('0123456789abcdef'), [a.fd, a.fd])
    await expect(b.readExactly(16, { maxFds: 1 })).rejects.toMatchObject({
      code: expect.stringMatching(/ERR_HANDOFF_FDS_(UNEXPECTED|TRUNCATED)/),
    })
    expect(ownFds()).toEqual(before)
  })

  test('the peer leaves in the middle', async () => {
    const [a, b] = pair()
    const before = ownFds()
    await a.sendWithFds(bytes('0123'), [a.fd])
    native.shutdown(a.fd, native.constants.SHUT_WR)
    await expect(b.readExactly(16)).rejects.toMatchObject({ code: 'ERR_HANDOFF_FDS_CLOSED' })
    expect(ownFds()).toEqual(before)
    await expect(b.readExactly(1)).rejects.toMatchObject({ code: 'ERR_HANDOFF_FDS_CLOSED' })
    expect(await b.receive(1)).toBeNull()
  })

  test('the peer leaves in the middle of a line', async () => {
    const [a, b] = pair()
    const before = ownFds()
    await a.sendWithFds(bytes('{"half'), [a.fd])
    native.shutdown(a.fd, native.constants.SHUT_WR)
    await expect(b.readLine(100)).rejects.toMatchObject({ code: 'ERR_HANDOFF_FDS_CLOSED' })
    expect(ownFds()).toEqual(before)
  })

  test('a line without an end', async () => {
    const [a, b] = pair()
    const before = ownFds()
    await a.sendWithFds(new Uint8Array(200).fill(0x61), [a.fd])
    await expect(b.readLine(100)).rejects.toMatchObject({ code: 'ERR_HANDOFF_FDS_UNEXPECTED' })
    expect(ownFds()).toEqual(before)
  })

  test('the time is up; trickling does not stretch it', async () => {
    const [a, b] = pair()
    const before = ownFds()
    let reading = true
    const trickle = (async () => {
      while (reading) {
        await a.sendWithFds(bytes('x'), [a.fd])
        await new Promise((resolve) => setImmediate(resolve))
      }
    })()
    await expect(b.readExactly(1 << 24, { timeoutMs: 30 })).rejects.toMatchObject({ code: 'ERR_HANDOFF_FDS_TIMEOUT' })
    reading = false
    await trickle
    expect(ownFds()).toEqual(before)
  })

  test('the caller gives up', async () => {
    const [a, b] = pair()
    const before = ownFds()
    const controller = new AbortController()
    await a.sendWithFds(bytes('x'), [a.fd])
    const reading = b.readExactly(16, { signal: controller.signal })
    await until(() => native.pendingBytes(b.fd) === 0)
    controller.abort(new Error('the state was left'))
    await expect(reading).rejects.toThrow('the state was left')
    expect(ownFds()).toEqual(before)
    await expect(b.readExactly(1, { signal: controller.signal })).rejects.toThrow('the state was left')
  })

  test('close() ends waits on both sides of the socket', async () => {
    const [a, b] = pair()
    const reading = b.readExactly(1)
    const writing = b.sendWithFds(new Uint8Array(4_000_000), [])
    b.close()
    await expect(reading).rejects.toMatchObject({ code: 'ERR_HANDOFF_FDS_CLOSED' })
    await expect(writing).rejects.toMatchObject({ code: 'ERR_HANDOFF_FDS_CLOSED' })
    await expect(b.readExactly(1)).rejects.toMatchObject({ code: 'ERR_HANDOFF_FDS_CLOSED' })
    expect(() => b.detach()).toThrow(expect.objectContaining({ code: 'ERR_HANDOFF_FDS_CLOSED' }))
    a.close()
  })

  test('a dead peer is an EPIPE, and misuse is said at once', async () => {
    const [a, b] = pair()
    b.close()
    await expect(a.sendWithFds(bytes('x'), [])).rejects.toMatchObject({ code: 'EPIPE' })
    await expect(a.sendWithFds(new Uint8Array(0), [])).rejects.toThrow(RangeError)
    await expect(a.sendWithFds(bytes('x'), Array<number>(254).fill(1))).rejects.toThrow(RangeError)
    const [c] = pair()
    const first = c.readExactly(1)
    await expect(c.readExactly(1)).rejects.toThrow('two operations at once')
    c.close()
    await expect(first).rejects.toMatchObject({ code: 'ERR_HANDOFF_FDS_CLOSED' })
  })
})
