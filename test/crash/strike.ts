/** One cell of the matrix: a run that is struck at one point, and everything that must hold afterwards. */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { ARMED, type PausePoint } from '../../src/observe/pause.js'
import type { SwapOutcome } from '../../src/supervisor/types.js'
import { Clients } from '../supervisor/clients.js'
import { Rig, tryKill, until, zombiesOf } from '../supervisor/rig.js'
import type { Point } from './points.js'
import { limitsUnder, SCENARIOS } from './scenarios.js'

export type Fault = 'SIGKILL' | 'SIGSTOP'

/** How long a stopped process sleeps, ms: past the deadline, the liveness limit and every grace of {@link limitsUnder}. */
export const STOPPED_MS = 6_000
/** Longest a run may take to come back, ms: the sum of the limits it may have to wait for, and a slow machine. */
const CONVERGE_MS = 40_000

export interface Cell {
  readonly point: Point
  readonly fault: Fault
  /** What became of it, in a few words; null when the run never came to the point. */
  readonly outcome: string | null
  /** What did not hold. Empty is what everybody wants. */
  readonly wrong: readonly string[]
}

/** A slow machine may end a run before it comes to the point: nothing was struck then, so that it is run again. */
const TRIES = 4

export async function strike(point: Point, fault: Fault): Promise<Cell> {
  let cell = await strikeOnce(point, fault)
  for (let tried = 1; cell.outcome === null && tried < TRIES; tried += 1) cell = await strikeOnce(point, fault)
  return cell
}

async function strikeOnce(point: Point, fault: Fault): Promise<Cell> {
  const rig = await Rig.create({ toml: limitsUnder(fault) })
  let clients: Clients | null = null
  try {
    const scenario = SCENARIOS.find(({ name }) => name === point.scenario)
    if (scenario === undefined) throw new Error(`no scenario ${point.scenario}`)
    const pauses = join(rig.dir, 'pauses')
    mkdirSync(pauses)
    rig.env = { HANDOFF_PAUSE: pauses }
    rig.isPaused = () => claimed(pauses) !== undefined
    await scenario.prepare(rig)
    const before = rig.living().length > 0 ? await answering(rig) : null
    if (scenario.underLoad) {
      clients = new Clients(rig.port, { fresh: 2, keepAlive: 1, writers: 1 })
      if (before !== null) await clients.answered(5)
    }
    arm(pauses, point, before?.pid)
    await scenario.act(rig)
    const pid = await paused(rig, pauses, scenario.finished(rig))
    if (pid === null) return { point, fault, outcome: null, wrong: [] }
    // It claims the point, then stops itself: to be continued before that would stop it for ever.
    await until(() => isStopped(pid) || null)
    if (fault === 'SIGKILL') tryKill(pid, 'SIGKILL')
    else {
      await new Promise((resolve) => setTimeout(resolve, STOPPED_MS))
      tryKill(pid, 'SIGCONT')
    }
    // A broken build was the swap's business, not that of whatever is started from now on.
    rig.build('v3')
    const wrong: string[] = []
    const outcome = await converge(rig, before?.pid)
    await check(rig, scenario.underLoad ? clients : null, wrong)
    return { point, fault, outcome, wrong }
  } catch (error) {
    return { point, fault, outcome: 'broken', wrong: [`${error instanceof Error ? error.message : error}`] }
  } finally {
    await clients?.finish().catch(() => {})
    await rig.end()
  }
}

/** Who serves right now; null in mid-swap, when nobody does. */
async function answering(rig: Rig): Promise<{ pid: number } | null> {
  return await Promise.race([
    rig.get().catch(() => null),
    new Promise<null>((resolve) => setTimeout(resolve, 300, null)),
  ])
}

function isStopped(pid: number): boolean {
  try {
    return /^\d+ \(.*\) T /s.test(readFileSync(`/proc/${pid}/stat`, 'utf8'))
  } catch {
    return true // it has ended: there is nothing left to wait for
  }
}

function arm(dir: string, { role, machine, state }: Point, incumbentPid: number | undefined): void {
  const who =
    incumbentPid === undefined || role === 'S' ? {} : role === 'O' ? { pid: incumbentPid } : { notPid: incumbentPid }
  const armed: PausePoint = { machine, state, ...who }
  writeFileSync(join(dir, ARMED), JSON.stringify(armed))
}

const claimed = (dir: string): string | undefined => readdirSync(dir).find((name) => name.startsWith('paused-'))

/** The pid that stopped at the point, or null when the run was over without coming there. */
async function paused(rig: Rig, dir: string, finished: Promise<void>): Promise<number | null> {
  let over = false
  finished.then(
    () => {
      over = true
    },
    () => {},
  )
  return await within(
    CONVERGE_MS,
    () => `nothing came to the point and the run did not end:\n${rig.told().slice(-3_000)}`,
    () => {
      const name = claimed(dir)
      if (name !== undefined) return { pid: Number(name.slice('paused-'.length)) }
      return over ? { pid: null } : null
    },
  ).then(({ pid }) => pid)
}

/** Starts a supervisor where none lives, as an init system does, and waits for rest. */
async function converge(rig: Rig, before: number | undefined): Promise<string> {
  const story = () => `\n${rig.told().slice(-4_000)}`
  let restarted = 0
  let at = 'nobody answers'
  const status = await within(
    CONVERGE_MS,
    () => `it does not come to rest (${at})${story()}`,
    async () => {
      if (rig.supervisor === null || rig.supervisor.exitCode !== null || rig.supervisor.signalCode !== null) {
        restarted += 1
        if (restarted > 5) throw new Error(`the supervisor does not stay${story()}`)
        await rig.start({ wait: false })
      }
      const now = await rig.status().catch(() => null)
      if (!now?.incumbent || now.swap !== null || !now.state.startsWith('serving')) return null
      // Exactly these two live, and the one that is told is the one that answers.
      const answering = (await rig.get().catch(() => null))?.pid
      at = `supervisor ${now.pid} tells ${now.incumbent.pid}, ${answering} answers, ${rig.living()} live`
      const rest = answering === now.incumbent.pid && rig.living().sort().join() === [now.pid, answering].sort().join()
      return rest ? now : null
    },
  )
  const who = status.incumbent?.pid === before ? 'the old one serves' : 'a new one serves'
  return [restarted > 0 ? 'S again' : null, told(status.lastSwap), who].filter(Boolean).join(', ')
}

const told = (outcome: SwapOutcome | null): string | undefined => outcome?.result

async function check(rig: Rig, clients: Clients | null, wrong: string[]): Promise<void> {
  rig.build('next')
  // The short limits have done their work: a slow machine must not fail what comes after.
  await rig.reload('')
  const swap = await rig.swap()
  if (swap.result !== 'committed') wrong.push(`the next swap: ${swap.result}, ${swap.reason}`)
  if ((await rig.get()).buildId !== 'next') wrong.push('the next swap committed, and another build serves')
  if (clients !== null) {
    const tally = await clients.finish()
    for (const count of ['refused', 'writesLost', 'writesDuplicated', 'revisionsDisordered'] as const) {
      if (tally[count] !== 0) wrong.push(`${count}: ${tally[count]} (${JSON.stringify(tally.reasons)})`)
    }
  }
  const { supervisor } = rig
  const zombies = (): number[] => zombiesOf(supervisor?.pid ?? 0)
  await within(
    CONVERGE_MS,
    () => `zombies: ${zombies()}`,
    () => zombies().length === 0 || null,
  )
  await rig.killSupervisor('SIGTERM')
  if (supervisor?.exitCode !== 0) wrong.push(`the orderly stop ended with ${supervisor?.exitCode}`)
  if (rig.living().length > 0) wrong.push(`left running: ${rig.living()}`)
  if (rig.leftFiles().length > 0) wrong.push(`left files: ${rig.leftFiles()}`)
}

async function within<T>(ms: number, failure: () => string, look: () => Promise<T | null> | T | null): Promise<T> {
  const deadline = performance.now() + ms
  return await until(async () => {
    const found = await look()
    if (found === null && performance.now() > deadline) throw new Error(failure())
    return found
  })
}
