/** Drives the demo: a supervisor, a daemon, the clients, one swap after the other, each outcome checked against the truth. */
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { createSupervisor, type Supervisor, type SwapOutcome } from 'handoff-machines/supervisor'
import { type Logger, pino } from 'pino'
import { ClientProcess } from './client-process.js'
import type { Target } from './http-client.js'
import { sendOnce } from './load.js'
import type { DemoOptions } from './options.js'
import { buildReport, type DemoReport, type StepResult } from './report.js'
import { type Step, schedule } from './schedule.js'

/** Budget of one swap, ms: long for a build that works, also on a slow machine; short enough that one that hangs does not bore. */
const DEADLINE_MS = 6_000
/** Still part of a swap's window, ms: what clients feel just after the verdict. */
const SETTLE_MS = 250

export interface Demo {
  readonly options: DemoOptions
  /** A directory of the demo's own. */
  readonly directory: string
  readonly onStep: (step: StepResult, number: number, of: number) => void
  /** Ends the run before its next swap. */
  readonly signal: AbortSignal
}

export async function runDemo(demo: Demo): Promise<DemoReport> {
  const log = pino({ level: 'info' }, pino.destination({ dest: join(demo.directory, 'supervisor.log'), sync: true }))
  const supervisor = createDemoSupervisor(demo.directory, log)
  const clients = new ClientProcess()
  try {
    await supervisor.start()
    const target = httpAddress(supervisor)
    await clients.start(target)
    return await underLoad(demo, supervisor, target, clients)
  } finally {
    clients.kill()
    await supervisor.stop()
  }
}

async function underLoad(demo: Demo, supervisor: Supervisor, target: Target, clients: ClientProcess) {
  const steps = schedule(demo.options.swaps)
  const began = performance.now()
  const results: StepResult[] = []
  const quietStallsMs: number[] = []
  let serving = 'v1'
  for (const [i, step] of steps.entries()) {
    const due = began + ((i + 0.5) / steps.length) * demo.options.seconds * 1000
    await sleep(Math.max(0, due - performance.now()), undefined, { signal: demo.signal })
    quietStallsMs.push((await clients.endWindow()).longestPauseMs)
    const result = await swapOnce(demo, supervisor, target, step, `v${i + 2}`, serving)
    await sleep(SETTLE_MS)
    const { longestPauseMs } = await clients.endWindow()
    results.push({ ...result.step, stallMs: longestPauseMs })
    serving = result.serving
    demo.onStep({ ...result.step, stallMs: longestPauseMs }, i + 1, steps.length)
  }
  await sleep(Math.max(0, began + demo.options.seconds * 1000 - performance.now()), undefined, { signal: demo.signal })
  const seconds = (performance.now() - began) / 1000
  return buildReport(results, quietStallsMs, await clients.finish(), seconds)
}

/** One swap, and a look at who really serves afterwards (INV-12). */
async function swapOnce(
  { directory }: Demo,
  supervisor: Supervisor,
  target: Target,
  step: Step,
  build: string,
  previous: string,
): Promise<{ step: Omit<StepResult, 'stallMs'>; serving: string }> {
  const outcome = await supervisor.swap({ args: kvArgs(directory, build, step.faults) })
  const { result, code, reason, totalMs } = outcome
  const serving = await whoServes(target)
  const due = step.expected === 'committed' ? build : previous
  const wrong = contradiction(step, outcome, serving, due)
  return { step: { ...step, result, code, reason, totalMs, pid: serving.pid, wrong }, serving: serving.buildId }
}

function contradiction(step: Step, outcome: SwapOutcome, serving: Serving, dueBuild: string): string | null {
  const { result, code, reason, incumbent } = outcome
  if (result !== step.expected) return `expected ${step.expected}, not ${result}: ${code} ${reason}`
  if (code !== null && !step.reasons.includes(code)) {
    return `expected ${step.reasons.join(' or ')}, not ${code}: ${reason}`
  }
  if (serving.buildId !== dueBuild || serving.pid !== incumbent?.pid) {
    return `${serving.buildId} serves with pid ${serving.pid}; expected ${dueBuild}, told ${JSON.stringify(incumbent)}`
  }
  return null
}

interface Serving {
  readonly pid: number
  readonly buildId: string
}

async function whoServes(target: Target): Promise<Serving> {
  const answer = await sendOnce(target, { method: 'GET', path: '/' })
  return JSON.parse(answer.body.toString('utf8'))
}

function createDemoSupervisor(directory: string, log: Logger): Supervisor {
  return createSupervisor({
    controlSocket: controlSocket(directory),
    binary: process.execPath,
    args: kvArgs(directory, 'v1', ''),
    // The story is told by the demo itself; HANDOFF_LOG_LEVEL=info lets the daemons speak too.
    env: [['HANDOFF_LOG_LEVEL', process.env.HANDOFF_LOG_LEVEL ?? 'silent']],
    listeners: [{ name: 'http', addr: '127.0.0.1:0' }],
    journal: join(directory, 'journal'),
    policy: { deadlineMs: DEADLINE_MS },
    allowedUids: [],
    allowedBinaries: [],
    log,
  })
}

function kvArgs(directory: string, build: string, faults: string): string[] {
  const program = fileURLToPath(new URL('../kv.js', import.meta.url))
  const paths = ['--data-dir', join(directory, 'data'), '--control-socket', controlSocket(directory)]
  return [program, ...paths, '--build-id', build, '--fault', faults]
}

function controlSocket(directory: string): string {
  return join(directory, 'control.sock')
}

function httpAddress(supervisor: Supervisor): Target {
  const address = supervisor.status().listeners.find(({ name }) => name === 'http')?.address ?? ''
  const colon = address.lastIndexOf(':')
  return { host: address.slice(0, colon), port: Number(address.slice(colon + 1)) }
}
