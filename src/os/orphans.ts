/** What process 1 of a container owes: to reap what its programs leave behind. Ends of children of its own are Node's business. */
import { isErrno } from './errno.js'
import { native } from './native.js'
import { foreignZombies } from './processes.js'

/** From now on. Node reaps within the turn of the signal whatever it started: what is a zombie two turns later is nobody's. */
export function reapOrphans(onReaped: (pid: number) => void): { stop(): void } {
  let seen: readonly number[] = []
  let next: NodeJS.Immediate | null = null
  const look = (): void => {
    const zombies = foreignZombies()
    for (const pid of zombies) if (seen.includes(pid) && reaped(pid)) onReaped(pid)
    const before = seen
    seen = zombies.filter((pid) => !before.includes(pid))
    next = seen.length > 0 ? setImmediate(look) : null
  }
  const onSignal = (): void => {
    next ??= setImmediate(look)
  }
  process.on('SIGCHLD', onSignal)
  onSignal() // some may have ended before we listened
  return {
    stop() {
      process.off('SIGCHLD', onSignal)
      if (next !== null) clearImmediate(next)
    },
  }
}

function reaped(pid: number): boolean {
  try {
    return native.reap(pid)
  } catch (error) {
    if (isErrno(error, 'ECHILD')) return false // somebody else was faster
    throw error
  }
}
