/**
 * `npm run soak -- [--swaps 500] [--seed N] [--spare-supervisor]`: swaps under load with random faults. Supervisors are
 * killed as well and started again, unless spared: then one lives through all of it, and what it gains is seen best. Exit 1 when a client was refused, a write was lost or doubled, or something grew.
 *
 * A kill of the process that serves resets what it is answering: those requests are counted and shown, they are no
 * fault of a swap. A fault that spares it must cost nobody anything.
 */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { Clients } from '../supervisor/clients.js'
import { Rig, tryKill, until, zombiesOf } from '../supervisor/rig.js'
import { Random } from './random.js'

const { values } = parseArgs({
  options: {
    swaps: { type: 'string', default: '500' },
    seed: { type: 'string' },
    'spare-supervisor': { type: 'boolean', default: false },
  },
})
const swaps = Number(values.swaps)
const random = new Random(values.seed === undefined ? Date.now() % 2 ** 31 : Number(values.seed))
console.log(
  `soak: ${swaps} swaps, seed ${random.seed}  (again: npm run soak -- --swaps ${swaps} --seed ${random.seed})`,
)

/** What is done to a swap: most of all nothing, then what a build does wrong, then who is killed or stopped and when. */
const BUILDS = [
  '',
  '',
  '',
  '',
  'unhealthy',
  'crash-before-ready',
  'open-fails=1',
  'slow-open=30',
  'slow-drain=20',
] as const
const STRIKES = ['none', 'none', 'none', 'none', 'kill N', 'kill O', 'kill S', 'stop N', 'stop O', 'stop S'] as const
/** A swap takes some 200 ms here: strikes fall all over it, ms. */
const STRIKE_WITHIN_MS = 300
const STOPPED_MS = 100

const rig = await Rig.create({ toml: 'respawn_backoff_ms = 10\nstable_secs = 0.5\nlinger_secs = 2' })
const tally: Record<string, number> = {}
const count = (what: string): void => {
  tally[what] = (tally[what] ?? 0) + 1
}
const rss: { readonly pid: number; readonly bytes: number }[] = []
/** What the supervisor's descriptors lead to, without inode numbers, after each swap. */
const fds: { readonly pid: number; readonly targets: readonly string[] }[] = []
let failure: string | null = null
let clients: Clients | null = null
let done = 0
try {
  await rig.start()
  clients = new Clients(rig.port, { fresh: 3, keepAlive: 3, writers: 2, thinkMs: 10 })
  for (; done < swaps; done++) await once(done)
} catch (error) {
  failure = `swap ${done}: ${error instanceof Error ? error.stack : error}\n${rig.told().slice(-4_000)}`
}
const seen = await clients?.finish()
const zombies = rig.supervisor?.pid === undefined ? [] : zombiesOf(rig.supervisor.pid)
await rig.killSupervisor('SIGTERM').catch(() => {})
const left = [...rig.living().map((pid) => `process ${pid}`), ...rig.leftFiles()]
await rig.end()
report()

async function once(n: number): Promise<void> {
  const fault = random.of(BUILDS)
  const drawn = random.of(STRIKES)
  const strike = drawn === 'kill S' && values['spare-supervisor'] ? 'none' : drawn
  const afterMs = random.below(STRIKE_WITHIN_MS)
  const before = await rig.served()
  rig.build(`v${n + 2}`, fault)
  const { ended } = await rig.beginSwap()
  if (strike !== 'none') await struck(strike, before.incumbent?.pid as number, before.pid, afterMs)
  if (strike === 'kill S') await rig.start({ wait: false })
  await ended
  // What a broken build is started with must not be what is started again when it dies.
  rig.build(`v${n + 2}`)
  const after = await settled()
  count(after.lastSwap?.result ?? 'nothing told')
  count(strike)
  sample(after.pid)
  if (n % 25 === 24) process.stderr.write(`${n + 1} swaps ${JSON.stringify(tally)}\n`)
}

async function struck(strike: (typeof STRIKES)[number], incumbent: number, supervisor: number, afterMs: number) {
  await new Promise((resolve) => setTimeout(resolve, afterMs))
  const [what, whom] = strike.split(' ') as ['kill' | 'stop', 'S' | 'O' | 'N']
  if (strike === 'kill S') return await rig.killSupervisor()
  const successor = rig.living().find((pid) => pid !== incumbent && pid !== supervisor)
  const pid = whom === 'S' ? supervisor : whom === 'O' ? incumbent : successor
  if (pid === undefined) return
  if (what === 'kill') {
    tryKill(pid, 'SIGKILL')
    return
  }
  tryKill(pid, 'SIGSTOP')
  await new Promise((resolve) => setTimeout(resolve, STOPPED_MS))
  tryKill(pid, 'SIGCONT')
}

/** Supervisor and one program live, and that program answers. */
async function settled() {
  const deadline = performance.now() + 60_000
  return await until(async () => {
    if (performance.now() > deadline)
      throw new Error(
        `no rest within 60 s; these live: ${rig.living()}; the supervisor's exit: ${rig.supervisor?.exitCode} ${rig.supervisor?.signalCode}; it says ${JSON.stringify(await rig.status().catch(String))}`,
      )
    const status = await rig.status().catch(() => null)
    if (!status?.incumbent || status.swap !== null || !status.state.startsWith('serving')) return null
    const answering = (await rig.get().catch(() => null))?.pid
    const rest =
      answering === status.incumbent.pid && rig.living().sort().join() === [status.pid, answering].sort().join()
    return rest ? status : null
  })
}

function sample(pid: number): void {
  const kib = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
  rss.push({ pid, bytes: Number(kib) * 1024 })
  fds.push({ pid, targets: descriptorsOf(pid) })
}

function descriptorsOf(pid: number): string[] {
  return readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
    try {
      return [readlinkSync(`/proc/${pid}/fd/${fd}`).replace(/:\[\d+\]$/, '')]
    } catch {
      return [] // closed since it was listed
    }
  })
}

/** How many of each kind the second list has more than the first. */
function gained(before: readonly string[], after: readonly string[]): string {
  const many = (targets: readonly string[], one: string) => targets.filter((target) => target === one).length
  const kinds = [...new Set(after)].map((one) => [one, many(after, one) - many(before, one)] as const)
  return kinds.flatMap(([one, more]) => (more > 0 ? [`${one} +${more}`] : [])).join(', ')
}

function report(): never {
  const tenth = Math.max(1, Math.floor(rss.length / 10))
  const mib = (part: typeof rss): string =>
    `${(part.reduce((sum, { bytes }) => sum + bytes, 0) / part.length / 2 ** 20).toFixed(1)} MiB`
  // A restarted supervisor begins anew: drift is what one and the same process gains, beyond the pidfd that watches an
  // adopted program and the one of a program that still retires.
  const drifts = [...new Set(fds.map(({ pid }) => pid))].map((pid) => {
    const own = fds.filter((at) => at.pid === pid).map(({ targets }) => targets)
    const most = own.slice(0, 10).reduce((one, other) => (other.length > one.length ? other : one))
    const least = own.slice(-10).reduce((one, other) => (other.length < one.length ? other : one))
    return { pid, swaps: own.length, drift: Math.max(0, least.length - most.length), gained: gained(most, least) }
  })
  const drift = Math.max(0, ...drifts.map((one) => one.drift))
  const must = {
    refused: seen?.refused ?? -1,
    'writes lost': seen?.writesLost ?? -1,
    'writes duplicated': seen?.writesDuplicated ?? -1,
    'revisions out of order': seen?.revisionsDisordered ?? -1,
    'fd drift of the supervisor': drift,
    zombies: zombies.length,
    'left over': left.length,
  }
  console.log(`swaps ${done} of ${swaps}  ${JSON.stringify(tally)}`)
  console.log(`requests ${seen?.requests}, writes acknowledged ${seen?.writesAcknowledged}`)
  console.log(`met by a kill of the process that served: reset ${seen?.reset}, failed ${seen?.failed}`)
  console.log(`supervisor RSS  first tenth ${mib(rss.slice(0, tenth))}, last tenth ${mib(rss.slice(-tenth))}`)
  for (const [what, value] of Object.entries(must)) console.log(`${what.padEnd(28)} ${value}`)
  for (const one of drifts.filter((each) => each.drift > 0))
    console.log(`supervisor ${one.pid} gained within ${one.swaps} swaps: ${one.gained}`)
  if (left.length > 0) console.log(`left over: ${left.join(', ')}`)
  if (failure !== null) console.log(failure)
  const bad = failure !== null || Object.values(must).some((value) => value !== 0)
  if (bad) console.log(`${JSON.stringify(seen?.reasons)}\nFAILED, seed ${random.seed}`)
  process.exit(bad ? 1 : 0)
}
