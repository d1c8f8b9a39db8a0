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
export function tellSystemd(systemd: SystemdNotify, supervisor: Pick<Supervisor, 'status' | 'subscribe'>): () => void {
  let told = ''
  const tell = (status: SupervisorStatus): void => {
    const line = statusLine(status)
    if (line === told) return
    told = line
    systemd.status(line)
    if (takesTime(status)) systemd.extend(2 * ASK_EVERY_MS)
  }
  const asking = setInterval(() => {
    if (takesTime(supervisor.status())) systemd.extend(2 * ASK_EVERY_MS)
  }, ASK_EVERY_MS).unref()
  const unsubscribe = supervisor.subscribe(tell)
  return () => {
    clearInterval(asking)
    unsubscribe()
  }
}

const takesTime = ({ state, swap }: SupervisorStatus): boolean =>
  swap !== null || /^(recovering|starting|stopping)/.test(state)
