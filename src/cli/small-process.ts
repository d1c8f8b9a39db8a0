/**
 * The first import of an entry whose process is a supervisor's alone: V8 is told to stay small before it loads the rest. A
 * supervisor computes for milliseconds and sleeps for weeks; its code never becomes hot, and the optimizing compilers alone
 * would bring 4 MB into memory. Never for a program of somebody else's: its V8 is its owner's.
 */
import { setFlagsFromString } from 'node:v8'

// The memory reducer would wake five threads up to collect what `collectWhenQuiet` has collected.
for (const flag of ['--no-opt', '--no-maglev', '--no-sparkplug', '--no-memory-reducer']) setFlagsFromString(flag)
