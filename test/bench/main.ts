/** `npm run bench`: every benchmark, one table. Figures of one run are compared with each other, never with another run's. */
import { cpus, loadavg, release, totalmem } from 'node:os'
import { benchGap, benchKvGap } from './gap.js'
import { benchIdle } from './idle.js'
import { benchLoad } from './load.js'
import { type BenchOptions, readCommandLine } from './options.js'
import { benchParts } from './parts.js'
import { benchBroker, benchConnections, benchExplore } from './programs.js'
import { benchRecovery } from './recovery.js'
import { benchStart } from './start.js'
import { printTable, type Row } from './table.js'
import { git } from './trees.js'

const BENCHES: { readonly [name: string]: (options: BenchOptions) => Promise<Row[]> } = {
  gap: benchGap,
  'kv-gap': benchKvGap,
  start: benchStart,
  load: benchLoad,
  idle: benchIdle,
  parts: benchParts,
  explore: benchExplore,
  recovery: benchRecovery,
  connections: benchConnections,
  broker: benchBroker,
}

const options = readCommandLine(process.argv.slice(2))
const names = options.only.length > 0 ? options.only : Object.keys(BENCHES)
for (const name of names) {
  if (name in BENCHES) continue
  console.error(`no such benchmark: ${name}; there are ${Object.keys(BENCHES).join(', ')}`)
  process.exit(64)
}

const dirty = git('status', '--porcelain', '--', 'src', 'machines', 'native') === '' ? '' : ' with changes'
const conditions = {
  cpu: cpus()[0]?.model,
  cores: cpus().length,
  memoryGB: Math.round(totalmem() / 2 ** 30),
  system: `${process.platform} ${release()}`,
  node: process.version,
  commit: git('rev-parse', '--short', 'HEAD') + dirty,
  loadBefore: loadavg()[0],
}
const rows: Row[] = []
const say = options.json ? console.error : console.log
const { cpu, cores, memoryGB, system, node, commit, loadBefore } = conditions
say(
  `${names.join(', ')}: ${cpu}, ${cores} cores, ${memoryGB} GB, ${system}, node ${node}, commit ${commit}, load ${loadBefore}`,
)
for (const name of names) {
  const found = await (BENCHES[name] as (typeof BENCHES)[string])(options)
  rows.push(...found)
  if (!options.json) {
    console.log()
    printTable(found, (line) => console.log(line))
  }
}
if (options.json) console.log(JSON.stringify({ ...conditions, rows }, undefined, 2))
