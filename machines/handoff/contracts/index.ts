/** What is demanded of each role's machine alone, in an environment that may do anything. */
export { greetingContract } from './greeting.js'
export { incumbentContract } from './incumbent.js'
export { successorContract } from './successor.js'
export { supervisorContract } from './supervisor.js'
export { swapContract } from './swap.js'
