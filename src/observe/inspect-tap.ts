/**
 * The hook a door puts into its machines: takes notes from the first event on, and loads what sends them only then.
 *
 * Nothing here when inspection is off: no import, no timer, no observer in the machine.
 */
import type { InspectionEvent } from 'xstate'
import type { Logger } from '../observe/log.js'
import { type InspectOption, inspectAddress } from './inspect-target.js'
import { type Captured, capture, type InspectedProcess } from './inspection-messages.js'

export interface TapOptions {
  readonly buildId: string
  readonly inspect: InspectOption | undefined
  readonly controlSocket: string
  readonly log: Logger
}

export interface InspectTap {
  /** A hook for the machine of a role: `supervisor`, `incumbent` or `successor`. */
  as(role: string): (event: InspectionEvent) => void
  /** What was noted is sent, then the connection ends. Needed only where the process goes on. */
  stop(): void
}

/** Notes kept until somebody takes them. Beyond it the oldest go; the viewer is then told the state as it is. */
export const MAX_WAITING = 2_000

/** @throws HandoffError ERR_HANDOFF_USAGE_INSPECT */
export function inspectTap(options: TapOptions): InspectTap | null {
  const address = inspectAddress(options.inspect, options.controlSocket)
  if (address === null) return null
  const { buildId, log } = options
  const by: InspectedProcess = { pid: process.pid, buildId, epoch: Date.now().toString(36).slice(-5) }
  let waiting: Captured[] = []
  let stopped = false
  let end = (): void => {}
  let take = (captured: Captured): void => {
    waiting.push(captured)
    if (waiting.length > MAX_WAITING) waiting.shift()
  }
  void import('./inspect-sender.js').then(({ InspectSender }) => {
    if (stopped) return
    const sender = new InspectSender({ address, by, log })
    take = (captured) => sender.take(captured)
    end = () => sender.stop()
    for (const captured of waiting) sender.take(captured)
    waiting = []
  })
  return {
    as: (role) => (event) => {
      const captured = capture(event, role)
      if (captured !== null) take(captured)
    },
    stop() {
      stopped = true
      end()
    },
  }
}

/** For createActor: one hook that feeds all who want to see, none when nobody does. */
export function watchedBy(...all: readonly (((event: InspectionEvent) => void) | null | undefined)[]): {
  inspect?: (event: InspectionEvent) => void
} {
  const observers = all.filter((observe) => observe != null)
  if (observers.length === 0) return {}
  if (observers.length === 1 && observers[0] !== undefined) return { inspect: observers[0] }
  return {
    inspect: (event) => {
      for (const observe of observers) observe(event)
    },
  }
}
