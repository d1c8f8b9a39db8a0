#!/usr/bin/env node
/**
 * A line protocol over raw TCP whose clients stay connected while the program is replaced: `name NAME` sets a session's
 * name, `add N` adds to the one durable total. A session is its name and the line that is still arriving; both move.
 */
import { readFile, writeFile } from 'node:fs/promises'
import { createServer, type Socket } from 'node:net'
import { exitWithError, type MovableProtocol, serveDaemon } from 'handoff-machines/daemon'

const [controlSocket = '/tmp/line.sock', dataDir = '/tmp/line', port = '7070'] = process.argv.slice(2)

interface Session {
  name: string
  partial: string
}
const LINE_MAX = 4096

await serveDaemon({
  controlSocket,
  dataDir,
  listeners: { line: { port: Number(port) } },
  async open({ listeners }) {
    let total = Number(await readFile(`${dataDir}/total`, 'utf8').catch(() => 0))
    const save = () => writeFile(`${dataDir}/total`, `${total}`, { flush: true })
    const sessions = new WeakMap<Socket, Session>()

    function answer(session: Session, line: string): string {
      const [verb, argument = ''] = line.trim().split(' ', 2)
      if (verb === 'name') session.name = argument
      else if (verb === 'add' && /^\d{1,9}$/.test(argument)) total += Number(argument)
      else return 'error: say "name NAME" or "add N"\n'
      return `${session.name || 'somebody'} ${total} from ${process.pid}\n`
    }

    function serve(socket: Socket, session: Session): void {
      sessions.set(socket, session)
      socket.on('error', () => socket.destroy())
      socket.on('data', (bytes) => {
        const lines = (session.partial + bytes.toString('latin1')).split('\n')
        session.partial = lines.pop() ?? ''
        for (const line of lines) socket.write(answer(session, line))
        if (session.partial.length > LINE_MAX) socket.destroy()
      })
    }

    // Between two events every session is at a safe point: nothing is half-done that these two strings do not hold.
    const protocol: MovableProtocol = {
      park(socket) {
        const session = sessions.get(socket)
        return session === undefined ? 'stays' : { state: { ...session } }
      },
      adopt: (socket, state) => serve(socket, state as unknown as Session),
    }
    const server = createServer((socket) => serve(socket, { name: '', partial: '' }))
    listeners.line.attach(server, protocol)
    return { revisions: () => [total], seal: save, close: save }
  },
}).catch(exitWithError)
