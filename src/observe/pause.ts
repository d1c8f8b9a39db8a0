/**
 * Pause points, for tests alone: stops this process (SIGSTOP) as one of its machines enters a state, so that a test can
 * kill it there, or let it sleep and go on. Does nothing unless `HANDOFF_PAUSE` names a directory.
 *
 * A test arms one point by writing `<dir>/armed`, a line of JSON ({@link PausePoint}). The first process that gets there
 * claims it by renaming the file to `<dir>/paused-<pid>` and stops. The state was entered and its entry effects ran; what
 * it invokes has not begun.
 */
import { readFileSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import type { AnyActorRef, InspectionEvent } from 'xstate'
import { machineOf, textOf } from './trace.js'

export const PAUSE_ENV = 'HANDOFF_PAUSE'
export const ARMED = 'armed'

export interface PausePoint {
  /** `supervisor`, `swap`, `incumbent`, `successor`, `greeting`. */
  readonly machine: string
  /** Dotted text, as in a trace: the whole state. */
  readonly state: string
  /** Only this process. */
  readonly pid?: number
  /** Any process but this one. */
  readonly notPid?: number
}

export function pauseObserver(dir: string): (event: InspectionEvent) => void {
  return (event) => {
    const machine = machineOf(event)
    const entered = machine === null ? null : enteredState(event)
    if (entered === null) return
    const point = armed(dir)
    if (point === null || point.machine !== machine || point.state !== entered) return
    if (point.pid !== undefined && point.pid !== process.pid) return
    if (point.notPid === process.pid) return
    try {
      renameSync(join(dir, ARMED), join(dir, `paused-${process.pid}`))
    } catch {
      return // another process was first
    }
    process.kill(process.pid, 'SIGSTOP')
  }
}

/** The first state of a machine is entered by its start and makes no microstep of its own. */
function enteredState(event: InspectionEvent): string | null {
  if (event.type === '@xstate.microstep') return textOf(event.snapshot)
  const isStart = event.type === '@xstate.event' && event.event.type === 'xstate.init'
  return isStart ? textOf((event.actorRef as AnyActorRef).getSnapshot()) : null
}

function armed(dir: string): PausePoint | null {
  try {
    return JSON.parse(readFileSync(join(dir, ARMED), 'utf8'))
  } catch {
    return null
  }
}
