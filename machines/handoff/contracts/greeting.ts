/** What is demanded of a connection's greeting. */
import type { RoleContract } from '../../explore/index.js'
import { greetingAlphabet } from '../alphabets.js'
import { greetingMachine } from '../greeting.machine.js'
import { common, does, isOver } from './watch.js'

export const greetingContract: RoleContract<typeof greetingMachine, null> = {
  machine: greetingMachine,
  alphabet: greetingAlphabet,
  memory: { first: null, after: () => null },
  contracts: [
    ...common<null>(),
    {
      id: 'HELLO',
      says: 'Hello is the first word, and said once',
      holds: (_, moment) => does(moment, 'sendHello') === (moment.event.type === 'start' ? 1 : 0),
    },
    {
      id: 'BEAT',
      says: 'a heartbeat is answered while the greeting lasts, and nothing else is said',
      holds: (_, moment) => does(moment, 'sendHeartbeat') === (moment.event.type === 'supervisor.beat' ? 1 : 0),
    },
    {
      id: 'VERDICT',
      says: 'a supervisor is attended exactly after an acknowledgement of a version that fits; whatever else comes, ends it',
      holds: (_, moment) => {
        const { event, after } = moment
        if (event.type === 'start' || event.type === 'supervisor.beat') return !isOver(moment)
        const isAttended = event.type === 'supervisor.acknowledged' && event.versionOk === true
        return isOver(moment) && (after.output as { attended: boolean }).attended === isAttended
      },
    },
  ],
  silence: {
    says: 'a silent peer pins nobody: the connection ends by the idle limit',
    rests: () => false,
    limitMs: (_, { context }) => context.policy.sessionIdleMs,
  },
}
