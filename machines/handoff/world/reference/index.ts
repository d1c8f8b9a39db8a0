/** The original's roles, as members of a cast. */
import type { AnyStateMachine } from 'xstate'
import type { Cast } from '../options.js'
import { referenceIncumbentMachine } from './incumbent.machine.js'
import { referenceSuccessorMachine } from './successor.machine.js'
import { referenceSupervisorMachine } from './supervisor.machine.js'
import { referenceSwapMachine } from './swap.machine.js'

export const REFERENCE: Cast = {
  supervisor: referenceSupervisorMachine as AnyStateMachine,
  swap: referenceSwapMachine as AnyStateMachine,
  incumbent: referenceIncumbentMachine as AnyStateMachine,
  successor: referenceSuccessorMachine as AnyStateMachine,
}
