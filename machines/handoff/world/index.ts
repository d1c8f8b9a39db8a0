/** The handoff's closed world, for `explore()`. */

export { createHandoffWorld, describeWorld, type HandoffWorld } from './handoff-world.js'
export { answers, areSocketsOpen, whoAnswers } from './kernel.js'
export {
  type Bounds,
  type Cast,
  FAULT_KINDS,
  type FaultKind,
  OUTSIDE_FAULT_KINDS,
  type Settings,
  type WorldOptions,
} from './options.js'
export type { Slot } from './slot.js'
export type { HandoffState, Kernel, Primitive, Supervisor } from './state.js'
