/** What the environment asks to see of this process's machines: `HANDOFF_TRACE`, and in tests `HANDOFF_PAUSE`. */
import type { InspectionEvent } from 'xstate'
import { PAUSE_ENV, pauseObserver } from './pause.js'
import { TRACE_ENV, Trace } from './trace.js'

type Observer = (event: InspectionEvent) => void

let made: { readonly observe: Observer | null } | undefined

/** For `inspect` of createActor; null when nothing was asked for. One for the whole process. */
export function machineObserver(role: 'supervisor' | 'daemon'): Observer | null {
  made ??= { observe: make(role) }
  return made.observe
}

function make(role: string): Observer | null {
  const { [TRACE_ENV]: to, [PAUSE_ENV]: pauseDir } = process.env
  const trace = to ? new Trace({ to, role }) : null
  const pause = pauseDir ? pauseObserver(pauseDir) : null
  if (trace === null) return pause
  return (event) => {
    trace.observe(event)
    pause?.(event)
  }
}
