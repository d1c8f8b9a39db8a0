import { setup } from 'xstate'
import {
  createMachineStepper,
  explore,
  type SnapshotId,
  transitionCover,
  type World,
} from '../machines/explore/index.js'

const lampMachine = setup({ types: { events: {} as { type: 'pressed' } | { type: 'bulb.broke' } } }).createMachine({
  id: 'lamp',
  initial: 'off',
  states: {
    off: { on: { pressed: 'on' } },
    on: { on: { pressed: 'off', 'bulb.broke': 'dark' } },
    dark: { type: 'final' },
  },
})
const lamp = createMachineStepper(lampMachine)

const world: World<SnapshotId> = {
  initial: () => lamp.start().snapshot,
  *steps(at) {
    for (const [type, kind] of [
      ['pressed', 'trigger'],
      ['bulb.broke', 'fault'],
    ] as const) {
      const { snapshot: next, handled, covers } = lamp.send(at, { type })
      if (handled) yield { label: type, kind, next, covers }
    }
  },
  key: (at) => [at],
  coverable: [...lamp.parts.states, ...lamp.parts.transitions.map(({ id }) => id)],
  describe: (at) => lamp.view(at).value,
}
export const { paths } = transitionCover(explore(world).graph)
