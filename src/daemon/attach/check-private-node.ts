/** Proves the private features of this Node on one connection of its own, before a live connection depends on them. */
import http from 'node:http'
import net, { type Socket } from 'node:net'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { pendingBytes, streamPair } from '../../os/fds.js'
import {
  descriptorOf,
  holdCloseEvent,
  listConnectionsEarly,
  openPaused,
  type PrivateFeatures,
  privateFeatures,
  socketsBetweenRequests,
  stopReading,
  trustFeature,
} from './private-node.js'

const REQUEST = 'GET / HTTP/1.1\r\nHost: self-check\r\n\r\n'
/** Turns of the loop that a byte may need from one end of a local pair to the other, and far more than it does. */
const MAX_TURNS = 1000

let check: Promise<Readonly<PrivateFeatures>> | undefined

/**
 * Runs once per process, about 2 ms, no port, no file. Features that fail are turned off with a process warning. Never
 * rejects: without descriptors for the proof nothing is decided, and the next call tries again.
 */
export function checkPrivateNode(): Promise<Readonly<PrivateFeatures>> {
  check ??= proveFeatures().then(applyProofs, (error: unknown) => {
    check = undefined
    warn(`the features of Node ${process.version} could not be checked: ${error}`)
    return privateFeatures()
  })
  return check
}

function applyProofs(proven: PrivateFeatures): Readonly<PrivateFeatures> {
  for (const feature of Object.keys(proven) as (keyof PrivateFeatures)[]) {
    if (proven[feature]) continue
    trustFeature(feature, false)
    warn(`Node ${process.version} does not offer "${feature}" as expected; its fallback is in use`)
  }
  return privateFeatures()
}

const warn = (text: string): void => process.emitWarning(text, { code: 'HANDOFF_PRIVATE_NODE' })

/** The proofs alone, without consequences. */
export async function proveFeatures(): Promise<PrivateFeatures> {
  const server = http.createServer((_request, response) => response.end())
  const [near, far] = streamPair()
  const served = new net.Socket({ fd: near, readable: true, writable: true, allowHalfOpen: true })
  const client = new net.Socket({ fd: far, readable: true, writable: true })
  for (const socket of [served, client]) socket.on('error', () => {})
  try {
    listConnectionsEarly(server)
    server.emit('connection', served)
    const idleParsers = await proveIdleParsers(server, served, client)
    const readStop = await proveReadStop(served, client)
    return { idleParsers, readStop, closeEvent: await proveCloseEvent(), adoptPaused: await proveAdoptPaused(server) }
  } finally {
    client.destroy()
    served.destroy()
    // Clears the interval that listing connections has started.
    server.close()
  }
}

async function proveIdleParsers(server: http.Server, served: Socket, client: Socket): Promise<boolean> {
  client.write(REQUEST)
  const afterAnswer = await turnsUntil(() => client.bytesRead > 0 && isListed(server, served))
  client.write(REQUEST.slice(0, 9))
  const before = served.bytesRead
  const halfArrived = await turnsUntil(() => served.bytesRead > before)
  const listedWhileHalf = isListed(server, served)
  const seen = client.bytesRead
  client.write(REQUEST.slice(9))
  const again = await turnsUntil(() => client.bytesRead > seen && isListed(server, served))
  return afterAnswer && halfArrived && !listedWhileHalf && again
}

async function proveReadStop(served: Socket, client: Socket): Promise<boolean> {
  const fd = descriptorOf(served)
  if (fd === null) return false
  stopReading(served)
  const before = served.bytesRead
  client.write('G')
  // Three more turns: a byte that libuv may read would be gone from the kernel by then.
  const arrived = await turnsUntil(() => pendingBytes(fd) === 1)
  for (let turn = 0; turn < 3; turn++) await nextTurn()
  return arrived && pendingBytes(fd) === 1 && served.bytesRead === before
}

async function proveAdoptPaused(server: http.Server): Promise<boolean> {
  const [near, far] = streamPair()
  const adopted = openPaused(near, true)
  const client = new net.Socket({ fd: far, readable: true, writable: true })
  for (const socket of [adopted, client]) socket.on('error', () => {})
  try {
    server.emit('connection', adopted)
    client.write(REQUEST)
    const arrived = await turnsUntil(() => pendingBytes(near) === REQUEST.length)
    for (let turn = 0; turn < 3; turn++) await nextTurn()
    const unread = pendingBytes(near) === REQUEST.length && adopted.bytesRead === 0
    adopted.resume()
    return arrived && unread && (await turnsUntil(() => client.bytesRead > 0))
  } finally {
    client.destroy()
    adopted.destroy()
  }
}

async function proveCloseEvent(): Promise<boolean> {
  const server = net.createServer()
  let announced = false
  server.on('close', () => {
    announced = true
  })
  const undo = holdCloseEvent(server)
  server.close()
  await nextTurn()
  const held = !announced
  undo()
  server.close()
  await nextTurn()
  return held && announced
}

const isListed = (server: http.Server, socket: Socket): boolean => socketsBetweenRequests(server)?.has(socket) === true

async function turnsUntil(holds: () => boolean): Promise<boolean> {
  for (let turn = 0; turn < MAX_TURNS && !holds(); turn++) await nextTurn()
  return holds()
}
