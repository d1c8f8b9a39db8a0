/** Every event each role may get, in its kinds: legal, stale, wrong. */

import type { Alphabet } from '../explore/index.js'
import type { FailureCode } from './failures.js'
import type { greetingMachine } from './greeting.machine.js'
import type { incumbentMachine } from './incumbent.machine.js'
import { DEFAULT_POLICY, type Policy } from './policy.js'
import type { successorMachine } from './successor.machine.js'
import type { supervisorMachine } from './supervisor.machine.js'
import type { SwapOutput, swapMachine } from './swap.machine.js'

const BOOLEANS = [true, false]
const FINGERPRINTS = ['a'.repeat(64), 'b'.repeat(64)]

export const O = 100
export const N = 200
/** A build that is only rehearsed. */
export const R = 300

export const incumbentAlphabet: Alphabet<typeof incumbentMachine> = {
  inputs: (['cold', 'live'] as const).flatMap((start) =>
    BOOLEANS.map((canResume) => ({ policy: DEFAULT_POLICY, start, canResume })),
  ),
  events: [
    { type: 'supervisor.attended' },
    { type: 'supervisor.requestedDrain', successorPid: 2, drainBudgetMs: 30_000, decisionBudgetMs: 200_000 },
    { type: 'supervisor.requestedSeal' },
    { type: 'supervisor.committed' },
    { type: 'supervisor.aborted' },
    { type: 'supervisor.requestedResume' },
    { type: 'supervisor.beat' },
    { type: 'supervisor.disconnected' },
    { type: 'supervisor.violatedProtocol' },
    { type: 'process.stopRequested' },
    { type: 'process.pathLost' },
  ],
  outputs: {
    acquireLock: [{ held: true }, { held: false }],
    openState: [{ canResume: true }, { canResume: false }],
    drain: [{ openConnections: 2 }],
    seal: [{ revisions: ['1'], fingerprint: null }],
    probeControl: [{ answeredBy: 'nobody' }, { answeredBy: 'self' }, { answeredBy: 'other' }],
  },
}

export const successorAlphabet: Alphabet<typeof successorMachine> = {
  inputs: BOOLEANS.map((deadlineKnown) => ({ policy: DEFAULT_POLICY, deadlineKnown })),
  events: [
    { type: 'supervisor.acknowledged', versionOk: true },
    { type: 'supervisor.acknowledged', versionOk: false },
    { type: 'supervisor.began' },
    { type: 'supervisor.committed' },
    { type: 'supervisor.aborted' },
    { type: 'supervisor.beat' },
    { type: 'supervisor.disconnected' },
    { type: 'supervisor.violatedProtocol' },
    { type: 'process.stopRequested' },
  ],
  outputs: {
    acquireLock: [{ held: true }, { held: false }],
    openState: [{ healthy: true, revisions: ['1'], fingerprint: null }],
    probeControl: [{ answeredBy: 'nobody' }, { answeredBy: 'self' }, { answeredBy: 'other' }],
  },
}

export const greetingAlphabet: Alphabet<typeof greetingMachine> = {
  inputs: [{ policy: DEFAULT_POLICY }],
  events: [
    { type: 'incumbent.stoppedServing' },
    ...BOOLEANS.map((versionOk) => ({ type: 'supervisor.acknowledged', versionOk }) as const),
    { type: 'supervisor.beat' },
    { type: 'supervisor.disconnected' },
    { type: 'supervisor.violatedProtocol' },
  ],
  outputs: {},
}

export const withProbation: Policy = { ...DEFAULT_POLICY, probationMs: 30_000 }

export const swapAlphabet: Alphabet<typeof swapMachine> = {
  inputs: [DEFAULT_POLICY, withProbation].map((policy) => ({ policy, incumbentPid: O })),
  events: [
    { type: 'incumbent.greeted', pid: O, versionOk: true, session: 'many' },
    { type: 'incumbent.greeted', pid: O, versionOk: true, session: 'one' },
    { type: 'incumbent.greeted', pid: O, versionOk: false, session: 'many' },
    { type: 'incumbent.greeted', pid: N, versionOk: true, session: 'many' },
    { type: 'successor.greeted', pid: N, versionOk: true },
    { type: 'successor.greeted', pid: N, versionOk: false },
    { type: 'successor.greeted', pid: O, versionOk: true },
    ...BOOLEANS.map((acceptClosed) => ({ type: 'incumbent.drained', acceptClosed }) as const),
    { type: 'incumbent.sealed', revisions: ['5'], fingerprint: FINGERPRINTS[0] ?? null },
    { type: 'incumbent.sealFailed' },
    { type: 'incumbent.progressed' },
    { type: 'incumbent.disconnected' },
    { type: 'incumbent.violatedProtocol' },
    { type: 'incumbent.exited' },
    ...(
      [
        [true, '5', FINGERPRINTS[0]],
        [true, '5', FINGERPRINTS[1]],
        [true, '4', FINGERPRINTS[0]],
        [false, '5', FINGERPRINTS[0]],
      ] as const
    ).map(([healthy, revision, fingerprint]) => {
      return {
        type: 'successor.becameReady',
        healthy,
        revisions: [revision],
        fingerprint: fingerprint ?? null,
      } as const
    }),
    { type: 'successor.progressed' },
    { type: 'successor.disconnected' },
    { type: 'successor.violatedProtocol' },
    { type: 'successor.exited' },
    { type: 'successor.becameUnhealthy' },
    { type: 'operator.cancelled' },
  ],
  outputs: {
    spawnSuccessor: [{ pid: N }],
    probeControl: ['nobody', 'incumbent', 'successor', 'other'].map((answeredBy) => ({ answeredBy })),
  },
}

const outcome = (given: Partial<SwapOutput>): SwapOutput => ({
  result: 'nobodyServes',
  failure: null,
  servingPid: null,
  failover: false,
  retiringPid: null,
  ...given,
})

export const OUTCOMES = {
  committed: outcome({ result: 'committed', servingPid: N, retiringPid: O }),
  failover: outcome({ result: 'committed', servingPid: N, failover: true }),
  rolledBack: outcome({
    result: 'rolledBack',
    servingPid: O,
    failure: 'ERR_HANDOFF_SEAL_FAILED' satisfies FailureCode,
  }),
  nobodyServes: outcome({ failure: 'ERR_HANDOFF_SUCCESSOR_EXITED' satisfies FailureCode }),
}

export const supervisorAlphabet: Alphabet<typeof supervisorMachine> = {
  // Two failed starts make a loop: the count is what matters, not how high it goes.
  inputs: [{ policy: { ...DEFAULT_POLICY, crashLoopLimit: 2 } }],
  events: [
    { type: 'swap.requested' },
    { type: 'primitive.exited', pid: O },
    { type: 'primitive.exited', pid: N },
    { type: 'primitive.exited', pid: R },
    { type: 'rehearsal.requested' },
    ...BOOLEANS.map((versionOk) => ({ type: 'rehearsed.greeted', pid: R, versionOk }) as const),
    { type: 'rehearsed.greeted', pid: O, versionOk: true },
    { type: 'rehearsed.disconnected' },
    { type: 'rehearsed.violatedProtocol' },
    { type: 'operator.stopped' },
    { type: 'operator.left' },
    { type: 'operator.reconfigured', policy: { ...DEFAULT_POLICY, crashLoopLimit: 2, stableMs: 5_000 } },
  ],
  outputs: {
    readJournal: [
      { pids: [], begun: false },
      { pids: [O, N], begun: false },
      { pids: [], begun: true },
    ],
    lookAround: [
      { answeringPid: null, livingPids: [] },
      { answeringPid: null, livingPids: [O] },
      { answeringPid: O, livingPids: [O] },
      { answeringPid: O, livingPids: [O, N] },
    ],
    startPrimitive: [{ pid: O }],
    startRehearsed: [{ pid: R }],
    swap: Object.values(OUTCOMES),
  },
}
