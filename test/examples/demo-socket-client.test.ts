import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import { type WebSocket, WebSocketServer } from 'ws'
import { socketClient } from '../../examples/demo/socket-client.js'
import { StallMeter } from '../../examples/demo/stall.js'
import { Counters } from '../../examples/demo/tally.js'
import { WriteLedger } from '../../examples/demo/write-ledger.js'

/** A client against a server that answers the n-th message as told; ends after `answers` messages in all. */
async function talk(answers: number, onMessage: (socket: WebSocket, nth: number) => void) {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1' })
  onTestFinished(() => new Promise<void>((resolve) => server.close(() => resolve())))
  await once(server, 'listening')
  const stop = new AbortController()
  let heard = 0
  server.on('connection', (socket) => {
    socket.on('message', () => {
      heard += 1
      if (heard === answers) stop.abort()
      onMessage(socket, heard)
    })
  })
  const counters = new Counters()
  const { port } = server.address() as AddressInfo
  const stall = new StallMeter(() => 0)
  const ledger = new WriteLedger(counters)
  await socketClient({ target: { host: '127.0.0.1', port }, counters, stall, ledger, stop: stop.signal }, 1)
  return counters.read()
}

const answer = (socket: WebSocket, answered: number): void => socket.send(JSON.stringify({ answered }))

test('a WebSocket that is answered in order counts as nothing but requests', async () => {
  expect(await talk(5, answer)).toMatchObject({ requests: 5, idleClosed: 0, reconnects: 0, failed: 0 })
})

test('one that is closed is told apart, and so is the next', async () => {
  let before = 0
  const tally = await talk(4, (socket, nth) => {
    if (nth === 2) {
      before = nth
      socket.close(1012)
    } else answer(socket, nth - before)
  })
  expect(tally).toMatchObject({ requests: 3, idleClosed: 1, reconnects: 1, failed: 0 })
  expect(Object.keys(tally.reasons)).toEqual(['idleClosed: a WebSocket ended: closed with 1012'])
})

test('a session that was forgotten is a failure, also on a connection that lives', async () => {
  expect(await talk(3, (socket, nth) => answer(socket, nth === 3 ? 1 : nth))).toMatchObject({ requests: 2, failed: 1 })
})
