/**
 * The decisions of the design, each with a switch: `without` it the machines do what the reference does, and the world
 * shows what that leads to. A decision whose absence changes nothing that anybody could see would be no decision.
 */
import { type AnyStateMachine, createMachine } from 'xstate'
import { type ConfigPath, edited, REMOVED } from '../../explore/config-edit.js'
import { incumbentMachine } from '../incumbent.machine.js'
import { successorMachine } from '../successor.machine.js'
import { supervisorMachine } from '../supervisor.machine.js'
import { swapMachine } from '../swap.machine.js'
import type { Cast } from './options.js'

type Change = readonly [role: keyof Cast, path: ConfigPath, value: unknown]

interface DecisionText {
  readonly says: string
  readonly off: readonly Change[]
}

const gone = REMOVED

export const DECISIONS = {
  keepTrying: {
    says: 'a parked incumbent tries for the lock without limit',
    off: [['incumbent', ['states', 'reclaiming', 'after'], { lockWaitMs: 'exiting' }]],
  },
  rollForward: {
    says: 'a successor that loses its supervisor after Begin goes on alone',
    off: [['successor', ['states', 'taking', 'on', 'supervisor.disconnected'], 'exiting']],
  },
  waitForCommit: {
    says: 'a successor that is ready goes live only when it is told, or alone',
    off: [['successor', ['states', 'taking', 'states', 'ready', 'always'], '#successor.goingLive']],
  },
  reopen: {
    says: 'after Sealed an aborted incumbent opens its state from disk',
    off: [
      [
        'incumbent',
        ['states', 'reclaiming', 'states', 'trying', 'invoke', 'onDone', 0],
        {
          guard: ({ event }: { event: { output: { held: boolean } } }) => event.output.held,
          target: '#incumbent.resuming',
        },
      ],
    ],
  },
  verify: {
    says: 'the incumbent is committed only after the successor answers on the control path',
    off: [['swap', ['states', 'verifying', 'always'], 'committed']],
  },
  stageFirst: {
    says: 'whatever can fail comes before Ready',
    off: [
      [
        'successor',
        ['states', 'taking', 'states', 'opening', 'invoke', 'onDone'],
        {
          target: 'ready',
          actions: { type: 'noteReport', params: ({ event }: { event: { output: unknown } }) => event.output },
        },
      ],
    ],
  },
  drainFails: {
    says: 'an incumbent that cannot drain serves again before it says so',
    off: [
      ['incumbent', ['states', 'draining', 'invoke', 'onError'], []],
      ['incumbent', ['states', 'draining', 'states', 'running', 'after'], gone],
      ['incumbent', ['states', 'draining', 'states', 'cancelling', 'after'], gone],
    ],
  },
  resumeExits: {
    says: 'an incumbent that cannot resume exits',
    off: [
      ['incumbent', ['states', 'resuming', 'invoke', 'onError'], []],
      ['incumbent', ['states', 'resuming', 'after'], gone],
    ],
  },
  endMute: {
    says: 'an aborted incumbent that does not serve again in time is ended',
    off: [
      ['swap', ['states', 'undoing', 'states', 'resumingIncumbent', 'after', 'resumeBudgetMs'], '#swap.rolledBack'],
      [
        'swap',
        ['states', 'undoing', 'states', 'resumingIncumbent', 'states', 'listening', 'after', 'livenessMs'],
        '#swap.rolledBack',
      ],
    ],
  },
  promote: {
    says: 'when the incumbent dies in mid-swap the waiting successor takes over',
    off: [
      [
        'swap',
        ['states', 'attempting', 'on', 'incumbent.exited'],
        {
          target: 'undoing',
          actions: ['noteIncumbentGone', { type: 'noteFailure', params: 'ERR_HANDOFF_INCUMBENT_EXITED' }],
        },
      ],
    ],
  },
  supervise: {
    says: 'a primitive that died is started again',
    off: [['supervisor', ['states', 'pausing', 'after'], gone]],
  },
  resumeOnce: {
    says: 'an incumbent that serves takes ResumeAfterAbort for a word that comes late',
    off: [
      [
        'incumbent',
        ['states', 'serving', 'states', 'attended', 'on', 'supervisor.requestedResume'],
        '#incumbent.resuming',
      ],
      [
        'swap',
        ['states', 'attempting', 'on', 'incumbent.sealFailed'],
        { target: 'undoing', actions: { type: 'noteFailure', params: 'ERR_HANDOFF_SEAL_FAILED' } },
      ],
    ],
  },
  clearJournal: {
    says: 'a swap that is over leaves no journal',
    off: [
      [
        'swap',
        ['states', 'rolledBack', 'entry'],
        [{ type: 'noteResult', params: 'rolledBack' }, 'closeIncumbentSession'],
      ],
      ['supervisor', ['states', 'swapping', 'invoke', 'onDone', 2, 'actions', 0], gone],
    ],
  },
  reap: {
    says: 'a successor that does not end on SIGTERM is killed',
    off: [['swap', ['states', 'undoing', 'states', 'endingSuccessor', 'states', 'asking', 'after'], gone]],
  },
  adopt: {
    says: 'a restarted supervisor looks for the living before it starts anything',
    off: [
      [
        'supervisor',
        ['states', 'recovering', 'states', 'readingJournal', 'invoke', 'onDone'],
        { target: '#supervisor.recovering.binding' },
      ],
      ['supervisor', ['states', 'recovering', 'states', 'binding', 'invoke', 'onError'], '#supervisor.failed'],
    ],
  },
  ownDeadline: {
    says: 'an incumbent that hears nothing while drained or sealed acts by the lock',
    off: [
      ['incumbent', ['states', 'drained', 'after'], gone],
      ['incumbent', ['states', 'sealed', 'after'], gone],
    ],
  },
  recordStart: {
    says: 'a start is in the journal before there is a process',
    off: [['supervisor', ['states', 'starting', 'states', 'recording'], { always: 'spawning' }]],
  },
  awaitHolder: {
    says: 'a restarted supervisor waits for the process that a dead one had just started',
    off: [
      [
        'supervisor',
        ['states', 'recovering', 'states', 'lookingForHolder', 'invoke', 'onDone', 3],
        '#supervisor.failed',
      ],
    ],
  },
  retireFirst: {
    says: 'a next swap waits until the processes of the last one have ended',
    off: [['supervisor', ['states', 'serving', 'on', 'swap.requested'], 'swapping']],
  },
  recordFirst: {
    says: 'the successor is in the journal before it may be told to take the lock',
    off: [
      [
        'swap',
        ['states', 'attempting', 'states', 'recording', 'always'],
        [{ guard: 'isIncumbentAlive', target: 'dialling' }, { target: 'opening' }],
      ],
    ],
  },
  readWithLock: {
    says: 'a successor reads connections only once it serves, and so holds the lock',
    off: [
      ['successor', ['states', 'taking', 'states', 'acquiringLock', 'entry'], ['startHeartbeat', 'adoptConnections']],
    ],
  },
  takeBackTold: {
    says: 'an incumbent that serves again takes back what it has told a successor, before it reads',
    off: [['incumbent', ['states', 'serving', 'entry'], ['forgetSwap', 'startAccepting', 'adoptConnections']]],
  },
  adoptParked: {
    says: 'a successor that serves reads the connections that the incumbent has parked for it',
    off: [['incumbent', ['states', 'serving', 'entry'], ['forgetSwap', 'takeConnectionsBack', 'startAccepting']]],
  },
} as const satisfies Record<string, DecisionText>

export type Decision = keyof typeof DECISIONS

const ORIGINALS: Cast = {
  supervisor: supervisorMachine,
  swap: swapMachine,
  incumbent: incumbentMachine,
  successor: successorMachine,
}

/** The machines as they would be without these decisions. */
export function castWithout(decisions: readonly Decision[]): Partial<Cast> {
  const configs: Partial<Record<keyof Cast, unknown>> = {}
  for (const decision of decisions) {
    for (const [role, path, value] of DECISIONS[decision].off as readonly Change[]) {
      configs[role] = edited(configs[role] ?? ORIGINALS[role].config, path, () => value)
    }
  }
  return Object.fromEntries(
    Object.entries(configs).map(([role, config]) => [
      role,
      createMachine(config as never, ORIGINALS[role as keyof Cast].implementations as never) as AnyStateMachine,
    ]),
  )
}
