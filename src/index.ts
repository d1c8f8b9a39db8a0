/** Public door `handoff-machines`: the two embedding doors, and the errors they throw. */
export * from './daemon/index.js'
export { HandoffError, isHandoffError } from './errors/handoff-error.js'
export * from './supervisor/index.js'
