/** The supervisor's life as systemd wants to hear it: one status line, and more time for what may take long. */
import type { SystemdNotify } from '../os/systemd-notify.js'
import type { Supervisor, SupervisorStatus } from '../supervisor/types.js'

/** While a start, a swap or a stop lasts, time is asked for this often, for twice as long, ms. */
const ASK_EVERY_MS = 5_000

export function statusLine({ state, incumbent, swap, lastSwap }: SupervisorStatus): string {
  const serving =
    incumbent === null ? `nobody serves (${state})` : `pid ${incumbent.pid} serves, build ${incumbent.buildId}`
  const doing = swap === null ? '' : `; swap: ${swap.phase}`
  const last = swap !== null || lastSwap === null ? '' : `; last swap: ${lastSwap.result}`
  return `${serving}${doing}${last}`
}

/** @returns the way out */
export function tellSystemd(systemd: SystemdNotify, supervisor: Pick<Supervisor, 'subscribe'>): () => void {
  let told = ''
  let asking: NodeJS.Timeout | undefined
  const ask = (): void => systemd.extend(2 * ASK_EVERY_MS)
  const tell = (status: SupervisorStatus): void => {
    const takes = takesTime(status)
    // Armed only while something takes time: a quiet supervisor never wakes.
    if (takes) asking ??= setInterval(ask, ASK_EVERY_MS).unref()
    else asking = void clearInterval(asking)
    const line = statusLine(status)
    if (line === told) return
    told = line
    systemd.status(line)
    if (takes) ask()
  }
  const unsubscribe = supervisor.subscribe(tell)
  return () => {
    clearInterval(asking)
    unsubscribe()
  }
}

const takesTime = ({ state, swap }: SupervisorStatus): boolean =>
  swap !== null || /^(recovering|starting|stopping)/.test(state)
