/** The WebSocket face of the key-value store: any message is answered with the revision, and with how many were before it. */
import type { Server } from 'node:http'
import { type MovableProtocol, webSockets } from 'handoff-machines/daemon'
import { type WebSocket, WebSocketServer } from 'ws'
import type { KvStore } from './kv-store.js'

/**
 * Compression would keep a dictionary in this process, and the connection with it.
 * @param store asked for each message: the store opens, and opens again, later than the server stands
 */
export function kvSockets(server: Server, store: () => KvStore): MovableProtocol {
  const sockets = new WebSocketServer({ server, perMessageDeflate: false })
  const answered = new WeakMap<WebSocket, number>()
  const serve = (socket: WebSocket, before: number): void => {
    answered.set(socket, before)
    socket.on('error', () => socket.terminate())
    socket.on('message', () => {
      const count = (answered.get(socket) ?? 0) + 1
      answered.set(socket, count)
      socket.send(JSON.stringify({ revision: store().revision, answered: count, pid: process.pid }))
    })
  }
  sockets.on('connection', (socket) => serve(socket, 0))
  return webSockets(sockets, {
    exportState: (socket) => answered.get(socket) ?? 0,
    importState: (socket, before) => serve(socket, Number(before)),
  })
}
