/**
 * Shows the broker to an inspector: its owner and each connection as actors, although they are run from tables. Nothing of this is made while nobody looks.
 */
import type { AnyStateMachine, InspectionEvent } from 'xstate'
import type { MachineStepper, Stepped } from '../../machines/explore/machine-stepper.js'
import { brokerError } from '../errors/broker.js'
import { type InspectTap, inspectTap } from '../observe/inspect-tap.js'
import type { InspectOption } from '../observe/inspect-target.js'
import { createLog } from '../observe/log.js'
import type { RunWatch } from './machine-table.js'

type Observe = (event: InspectionEvent) => void

/**
 * @param controlSocket whose sibling `true` means; a broker without one of its own needs an address
 * @throws ERR_HANDOFF_BROKER_USAGE_OPTION, ERR_HANDOFF_USAGE_INSPECT
 */
export function brokerTap(inspect: InspectOption | undefined, controlSocket: string | undefined): InspectTap | null {
  if (controlSocket === undefined && inspect === true)
    throw brokerError('ERR_HANDOFF_BROKER_USAGE_OPTION', [
      'inspect',
      'is true, but this broker has no control socket beside which an inspector could listen',
      "give an address, like 'unix:/run/broker/control.sock.inspect'",
    ])
  // The variable means a socket beside one of our own, too.
  const asked = controlSocket === undefined ? (inspect ?? false) : inspect
  const log = createLog({ base: { role: 'broker' } })
  return inspectTap({ inspect: asked, controlSocket: controlSocket ?? '', buildId: '', log })
}

/**
 * @param name of the machine's runs, and with the id of one its session
 * @param parent session of the owner; null for the owner itself
 * @returns what follows one run, by its id
 */
export function watchRuns<M extends AnyStateMachine>(
  observe: Observe,
  machine: M,
  stepper: MachineStepper<M>,
  name: string,
  parent: string | null,
): (id: number) => RunWatch {
  return (id) => {
    let snapshot: unknown
    const actorRef = {
      id: parent === null ? name : `${name}-${id}`,
      sessionId: `${name}:${id}`,
      _parent: parent === null ? undefined : { sessionId: parent },
      logic: machine,
      // Clocks of a run live for microseconds: none is shown.
      system: { getSnapshot: () => ({ _scheduledEvents: {} }) },
      getSnapshot: () => snapshot,
    }
    const rootId = parent ?? actorRef.sessionId
    const tell = (event: object) => observe({ actorRef, rootId, ...event } as unknown as InspectionEvent)
    return (event, stepped: Stepped) => {
      const isFirst = snapshot === undefined
      const { value, context, status } = stepper.view(stepped.snapshot)
      snapshot = { value, context, status }
      if (isFirst) tell({ type: '@xstate.actor' })
      tell({ type: '@xstate.event', event, sourceRef: undefined })
      for (const effect of stepped.effects) {
        if (effect.kind === 'action') tell({ type: '@xstate.action', action: effect })
      }
      tell({ type: '@xstate.snapshot', event, snapshot })
    }
  }
}
