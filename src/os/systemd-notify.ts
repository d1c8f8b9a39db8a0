/**
 * What a service of `Type=notify` tells systemd (sd_notify(3)): READY, STATUS, RELOADING, STOPPING, WATCHDOG,
 * EXTEND_TIMEOUT_USEC. Does nothing where NOTIFY_SOCKET is not set. A message that is lost never harms the service.
 */
import { sendDatagram } from './datagram.js'

type Env = { [name: string]: string | undefined }

export interface SystemdNotify {
  ready(status: string): void
  status(text: string): void
  /** Followed by `ready` when it is done. */
  reloading(): void
  stopping(status: string): void
  /** What lasts longer than the unit's timeout: it may go on that much longer from now, ms. */
  extend(ms: number): void
  close(): void
}

/** Reads the variables of systemd and removes them before it returns, so that no child speaks in our name. */
export async function systemdNotify(env: Env = process.env, pid = process.pid): Promise<SystemdNotify> {
  const { NOTIFY_SOCKET: target, WATCHDOG_USEC: usec, WATCHDOG_PID: watched } = env
  for (const name of ['NOTIFY_SOCKET', 'WATCHDOG_USEC', 'WATCHDOG_PID']) delete env[name]
  if (target === undefined || !/^[@/]./.test(target)) return SILENT
  const send = target.startsWith('@') ? toAbstractName(target) : await toPath(target)
  const isWatched = /^\d{1,18}$/.test(usec ?? '') && (watched === undefined || Number(watched) === pid)
  // Half of the limit, as sd_watchdog_enabled(3) advises. From the event loop: one that hangs is what it is to find.
  const watchdog = isWatched
    ? setInterval(() => send('WATCHDOG=1'), Math.max(1, Number(usec) / 2_000)).unref()
    : undefined
  return {
    ready: (status) => send(`READY=1\nSTATUS=${oneLine(status)}`),
    status: (text) => send(`STATUS=${oneLine(text)}`),
    reloading: () => send(`RELOADING=1\nMONOTONIC_USEC=${process.hrtime.bigint() / 1000n}`),
    stopping: (status) => send(`STOPPING=1\nSTATUS=${oneLine(status)}`),
    extend: (ms) => send(`EXTEND_TIMEOUT_USEC=${Math.ceil(ms) * 1000}`),
    close() {
      clearInterval(watchdog)
      send.close()
    },
  }
}

type Send = ((message: string) => void) & { close(): void }

const SILENT: SystemdNotify = {
  ready() {},
  status() {},
  reloading() {},
  stopping() {},
  extend() {},
  close() {},
}

/** Its addon is loaded where somebody listens: a supervisor without systemd needs none of it. */
async function toPath(path: string): Promise<Send> {
  const { DgramSocket } = await import('node-unix-socket')
  const socket = new DgramSocket()
  // systemd restarts now and then; nobody may be there for a moment.
  socket.on('error', () => {})
  const send = (message: string): void => {
    const bytes = Buffer.from(message)
    try {
      socket.sendTo(bytes, 0, bytes.length, path, () => {})
    } catch {
      // The path is gone or its queue is full.
    }
  }
  return Object.assign(send, { close: () => socket.close() })
}

/** DgramSocket pads the address with NULs, which names another socket in the abstract namespace. */
function toAbstractName(name: string): Send {
  const send = (message: string): void => {
    try {
      sendDatagram(name, Buffer.from(message))
    } catch {
      // As above.
    }
  }
  return Object.assign(send, { close() {} })
}

const oneLine = (text: string): string => text.replace(/[\r\n]+/g, ' ')
