/** The least a client can do on this wire, on Node's own sockets. */
import { connect, type Socket } from 'node:net'
import { EVENT, HELLO_HANDOFF, HELLO_PLAIN, reply } from './frames.js'

export function floorClient(control: string, pipe: string) {
  const handoffBytes = reply(pipe, true).length + EVENT.length
  const plainBytes = reply(pipe, false).length
  const exchange = (hello: Buffer, wanted: number): Promise<Socket> =>
    new Promise((resolve, reject) => {
      const socket = connect(control, () => socket.write(hello))
      let count = 0
      const onData = (chunk: Buffer) => {
        count += chunk.length
        if (count < wanted) return
        socket.off('data', onData)
        socket.off('error', reject)
        resolve(socket)
      }
      socket.on('data', onData)
      socket.on('error', reject)
    })
  return {
    handoff: () => exchange(HELLO_HANDOFF, handoffBytes),
    async reconnect(): Promise<Socket> {
      const first = await exchange(HELLO_PLAIN, plainBytes)
      first.destroy()
      return await new Promise<Socket>((resolve, reject) => {
        const socket = connect(pipe, () => resolve(socket))
        socket.once('error', reject)
      })
    },
  }
}
