/**
 * Drives real processes along a generated path, and asks the model about what came of it: at the point where the path says
 * that something breaks, and when everything has come to rest.
 */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createMachineStepper, type SnapshotId } from '../../machines/explore/index.js'
import { askHello } from '../../src/channel/ask-hello.js'
import { checkTraceFiles, HANDOFF_MACHINES, revive } from '../../src/observe/conformance.js'
import { ARMED, type PausePoint } from '../../src/observe/pause.js'
import type { TraceStep } from '../../src/observe/trace.js'
import { lockHolders } from '../process/facts.js'
import { Rig, tryKill, until } from '../supervisor/rig.js'
import type { Facts, ModelRuns, Witness } from './inclusion.js'
import type { Script } from './scripts.js'

/** Short only where a path waits for it: no limit may pass on a busy machine that the path does not know. */
const CONFIG = ['linger_secs = 1', 'respawn_backoff_ms = 20'].join('\n')
/** Longest a run may take to come to rest, ms. */
const REST_MS = 40_000

export interface Driven {
  readonly script: Script
  /** False: the run ended without coming to where the fault was to strike. */
  readonly struck: boolean
  /** What did not match the model. */
  readonly wrong: readonly string[]
  readonly covers: readonly string[]
}

export async function drive(script: Script, runs: ModelRuns): Promise<Driven> {
  const rig = await Rig.create({ toml: CONFIG })
  const trace = join(rig.dir, 'trace')
  const pauses = join(rig.dir, 'pauses')
  mkdirSync(pauses)
  rig.env = { HANDOFF_TRACE: trace, HANDOFF_PAUSE: pauses }
  const wrong: string[] = []
  try {
    rig.build('v1', script.first)
    await rig.start()
    const a = (await rig.get()).pid
    rig.build('v2', script.second)
    const { kill } = script
    if (kill !== null) arm(pauses, kill, a)
    await rig.beginSwap()
    let killed: { readonly pid: number; readonly state: string } | null = null
    if (kill !== null) {
      const pid = await claimed(rig, pauses)
      if (pid === null) return { script, struck: false, wrong, covers: [] }
      killed = { pid, state: kill.state }
      // Who holds the lock while everything stands still here is the model's business, too.
      const lock = lockHolders(join(rig.dir, 'data'), rig.living())
      if (lock.length > 1) wrong.push(`two hold the lock: ${lock}`)
      rig.build('v3')
      tryKill(pid, 'SIGKILL')
    }
    const measured = await rest(rig)
    const conformance = checkTraceFiles(trace)
    if (!conformance.conforms) wrong.push(`a step is unknown: ${JSON.stringify(conformance.refusal)}`)
    const witness = explained(runs, trace, killed, measured, script)
    if (witness === null)
      wrong.push(`no run of the model looks like this: ${JSON.stringify({ measured, killed, trace: told(trace) })}`)
    return { script, struck: true, wrong, covers: exercised(filesIn(trace)) }
  } catch (error) {
    return { script, struck: true, wrong: [...wrong, String(error)], covers: [] }
  } finally {
    await rig.end()
  }
}

function arm(dir: string, { role, machine, state }: NonNullable<Script['kill']>, a: number): void {
  const who = role === 'S' ? {} : role === 'A' ? { pid: a } : { notPid: a }
  const armed: PausePoint = { machine, state, ...who }
  writeFileSync(join(dir, ARMED), JSON.stringify(armed))
}

/** The pid that stopped where it was to stop; null when the swap was over before anybody came there. */
async function claimed(rig: Rig, dir: string): Promise<number | null> {
  return await until(async () => {
    const name = readdirSync(dir).find((file) => file.startsWith('paused-'))
    if (name !== undefined) return { pid: Number(name.slice('paused-'.length)) }
    if (rig.living().length !== 2) return null
    const ended = await rig.status().catch(() => null)
    const isOver = ended !== null && ended.swap === null && ended.lastSwap !== null
    return isOver && !readdirSync(dir).some((file) => file.startsWith('paused-')) ? { pid: null } : null
  }).then(({ pid }) => pid)
}

type Measured = { readonly [Fact in keyof Facts]: number | null }

/** Starts a supervisor where none lives, as an init system does, and waits until one primitive serves. */
async function rest(rig: Rig): Promise<Measured> {
  const deadline = performance.now() + REST_MS
  return await until(async () => {
    if (performance.now() > deadline) throw new Error(`it does not come to rest:\n${rig.told().slice(-2_000)}`)
    const { supervisor } = rig
    if (supervisor === null || supervisor.exitCode !== null || supervisor.signalCode !== null) {
      await rig.start({ wait: false })
    }
    const now = await rig.status().catch(() => null)
    if (!now?.incumbent || now.swap !== null || !now.state.startsWith('serving')) return null
    const living = rig.living()
    if (living.length !== 2) return null
    const [lock = null, ...rivals] = lockHolders(join(rig.dir, 'data'), living)
    if (rivals.length > 0) throw new Error(`two hold the lock: ${[lock, ...rivals]}`)
    const accepts = (await rig.get().catch(() => null))?.pid ?? null
    const answers = (await askHello(rig.controlSocket, { timeoutMs: 2_000 }))?.pid ?? null
    return accepts === now.incumbent.pid ? { lock, answers, accepts } : null
  })
}

function explained(
  runs: ModelRuns,
  trace: string,
  killed: { readonly pid: number; readonly state: string } | null,
  measured: Measured,
  { fault, kill }: Script,
): Witness | null {
  const files = filesIn(trace)
  const primitives = files
    .filter(({ head }) => head.role === 'daemon')
    .sort((one, other) => (one.head.startedAt < other.head.startedAt ? -1 : 1))
    .map(({ head }) => head.pid as number)
  const named = new Map(primitives.map((pid, at) => [pid, 'ABCDE'[at] as string]))
  const seen: Record<string, string[]> = {}
  const pass = (lane: string, state: string) => {
    seen[lane] ??= []
    if (seen[lane].at(-1) !== state) seen[lane].push(state)
  }
  for (const { steps } of files) {
    for (const { machine, pid, state } of steps) {
      if (machine === 'swap') pass('swap', state)
      else if (machine === 'incumbent' || machine === 'successor') pass(`${named.get(pid)}.${machine}`, state)
    }
  }
  // It stopped before it could write that it is there.
  if (killed !== null && kill !== null) {
    pass(kill.role === 'S' ? 'swap' : `${named.get(killed.pid)}.${kill.machine}`, killed.state)
  }
  const name = (pid: number | null) => (pid === null ? null : (named.get(pid) ?? '?'))
  const facts: Facts = { lock: name(measured.lock), answers: name(measured.answers), accepts: name(measured.accepts) }
  return runs.explain(seen, facts, (label, kind) => kind !== 'fault' || label === fault)
}

interface TraceFile {
  readonly head: { readonly pid: number; readonly role: string; readonly startedAt: string }
  readonly steps: readonly TraceStep[]
}

function filesIn(trace: string): TraceFile[] {
  return readdirSync(trace).map((name) => {
    const lines = readFileSync(join(trace, name), 'utf8').trimEnd().split('\n')
    const [head, ...steps] = lines.map((line) => JSON.parse(line))
    return { head, steps }
  })
}

const told = (trace: string): string[] =>
  filesIn(trace).flatMap(({ steps }) => steps.map(({ pid, machine, state }) => `${pid} ${machine} ${state}`))

const steppers = Object.fromEntries(
  Object.entries(HANDOFF_MACHINES).map(([name, machine]) => [name, createMachineStepper(machine, { name })]),
)

/** What the machines did in these processes, transition by transition: no more than they told themselves. */
function exercised(files: readonly TraceFile[]): string[] {
  const covers = new Set<string>()
  for (const { steps } of files) {
    const at = new Map<string, SnapshotId>()
    for (const { machine, session, event } of steps) {
      const stepper = steppers[machine]
      if (stepper === undefined) continue
      const before = at.get(session)
      const given = revive(event) as { readonly type: string; readonly input?: unknown }
      const step = before === undefined ? stepper.start(given.input) : stepper.send(before, given as never)
      at.set(session, step.snapshot)
      for (const id of step.covers) covers.add(id)
    }
  }
  return [...covers]
}
