/** A demo client on one WebSocket: asks, waits, asks again, and knows how many answers that connection must have had. */
import { setTimeout as sleep } from 'node:timers/promises'
import { WebSocket } from 'ws'
import { type Load, REQUEST_TIMEOUT_MS } from './load.js'

/** One answer, or why there is none. */
function ask(socket: WebSocket): Promise<string> {
  return new Promise((resolve, reject) => {
    const settle = (act: () => void): void => {
      clearTimeout(timer)
      socket.off('message', onMessage)
      socket.off('close', onClose)
      act()
    }
    const onMessage = (data: Buffer): void => settle(() => resolve(data.toString('utf8')))
    const onClose = (code: number): void => settle(() => reject(new Error(`closed with ${code}`)))
    const timer = setTimeout(() => settle(() => reject(new Error('no answer in time'))), REQUEST_TIMEOUT_MS)
    socket.on('message', onMessage)
    socket.on('close', onClose)
    socket.send('revision')
  })
}

/** Counts a connection that ends as `idleClosed` and the next one as `reconnects`: neither may happen. */
export async function socketClient(load: Load, thinkMs: number): Promise<void> {
  let connections = 0
  while (!load.stop.aborted) {
    connections += 1
    if (connections > 1) load.counters.add('reconnects')
    try {
      await onOneSocket(load, thinkMs)
    } catch (error) {
      load.counters.failure('idleClosed', `a WebSocket ended: ${error instanceof Error ? error.message : error}`)
      await sleep(thinkMs)
    }
  }
}

async function onOneSocket(load: Load, thinkMs: number): Promise<void> {
  const socket = new WebSocket(`ws://${load.target.host}:${load.target.port}/`, { perMessageDeflate: false })
  await new Promise((resolve, reject) => {
    socket.once('open', resolve)
    socket.on('error', reject)
  })
  try {
    for (let due = 1; !load.stop.aborted; due += 1) {
      const { answered } = JSON.parse(await ask(socket)) as { answered: number }
      load.stall.answered()
      if (answered === due) load.counters.add('requests')
      else load.counters.failure('failed', `the session was forgotten: answer ${answered} instead of ${due}`)
      await sleep(thinkMs * (0.5 + Math.random()))
    }
  } finally {
    socket.terminate()
  }
}
