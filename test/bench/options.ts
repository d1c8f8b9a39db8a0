/** What every benchmark is told. */
import { parseArgs } from 'node:util'
import { type Trees, treesOf } from './trees.js'

export interface BenchOptions {
  readonly trees: Trees
  readonly rounds: number
  readonly warmUp: number
  /** Sizes of the key-value store, MB. */
  readonly kvMegabytes: readonly number[]
  /** Node binaries for the start. */
  readonly nodes: readonly string[]
  /** Of load, for each swap and each control, s. */
  readonly loadSeconds: number
  readonly requestsPerSecond: number
  /** How long an idle process is watched, s. */
  readonly quietSeconds: number
  /** Swaps before the supervisor's footprint is taken again. */
  readonly manySwaps: number
}

export interface CommandLine extends BenchOptions {
  readonly only: readonly string[]
  readonly json: boolean
}

const USAGE = `usage: npm run bench -- [--only NAME,…] [--json] [--rounds N] [--warm-up N] [--against COMMIT]
  --only           part of the benchmarks; the names are in the first line of the output
  --rounds         default 30: samples of each line; --warm-up 3 more that do not count
  --against        a commit, compiled and measured beside the working tree in the same run
  --kv             sizes of the key-value store, MB; default 0,10; add 1000 with 3 GB of disk to spare
  --nodes          Node binaries for the start, by path; default this one
  --load-seconds   default 4;  --rate  requests a second, default 2000
  --quiet-seconds  default 20; --many-swaps default 100`

export function readCommandLine(args: readonly string[]): CommandLine {
  const { values } = parseArgs({
    args: [...args],
    options: {
      only: { type: 'string', default: '' },
      json: { type: 'boolean', default: false },
      rounds: { type: 'string', default: '30' },
      'warm-up': { type: 'string', default: '3' },
      against: { type: 'string' },
      kv: { type: 'string', default: '0,10' },
      nodes: { type: 'string', default: process.execPath },
      'load-seconds': { type: 'string', default: '4' },
      rate: { type: 'string', default: '2000' },
      'quiet-seconds': { type: 'string', default: '20' },
      'many-swaps': { type: 'string', default: '100' },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) {
    console.log(USAGE)
    process.exit(0)
  }
  let trees: Trees | undefined
  const list = (text: string) => text.split(',').filter((entry) => entry !== '')
  return {
    only: list(values.only),
    json: values.json,
    rounds: Number(values.rounds),
    warmUp: Number(values['warm-up']),
    // Compiled when they are first needed: a wrong argument is told at once.
    get trees() {
      trees ??= treesOf(values.against ?? null)
      return trees
    },
    kvMegabytes: list(values.kv).map(Number),
    nodes: list(values.nodes),
    loadSeconds: Number(values['load-seconds']),
    requestsPerSecond: Number(values.rate),
    quietSeconds: Number(values['quiet-seconds']),
    manySwaps: Number(values['many-swaps']),
  }
}
