/**
 * The first import of an entry whose process is a supervisor's alone: V8 is told to stay small before it loads the rest. A
 * supervisor computes for milliseconds and sleeps for weeks; its code never becomes hot, and the optimizing compilers alone
 * would bring 4 MB into memory. Never for a program of somebody else's: its V8 is its owner's.
 */
import { setFlagsFromString } from 'node:v8'

const NO_COMPILERS = ['--no-opt', '--no-maglev', '--no-sparkplug'] as const
/** Without it V8's memory reducer stays asleep, which woke five threads up half a minute later to find what `collectWhenQuiet` had left. */
const NO_REDUCER = '--no-incremental-marking'

for (const flag of [...NO_COMPILERS, NO_REDUCER]) setFlagsFromString(flag)
