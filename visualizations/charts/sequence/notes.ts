/** What a step of the handoff's world means to a reader: who tells whom what, or does what alone. */
import type { Step, StepNote } from '../../../machines/explore/index.js'
import type { SwapOutput } from '../../../machines/handoff/swap.machine.js'
import { type HandoffState, type HandoffWorld, whoAnswers } from '../../../machines/handoff/world/index.js'
import { delayText } from '../words.js'

const LANES: Readonly<Record<string, string>> = { S: 'supervisor', A: 'incumbent', B: 'successor', C: 'fresh process' }
export const laneOf = (name: string): string => LANES[name] ?? name

/** What processes do alone, or with the kernel. What is not here is told in the words of its name. */
const DOINGS: Readonly<Record<string, string>> = {
  prepare: 'prepares',
  openState: 'opens its state',
  publishControl: 'publishes its control socket',
  drain: 'finishes its requests',
  seal: 'seals its state',
  resume: 'resumes',
  closeState: 'closes its state',
  stageTakeover: 'stages listeners and control socket',
  fetchConnections: 'asks for live connections',
  copyConnections: 'offers live connections',
  parkConnections: 'parks live connections',
  finishConnections: 'finishes what is left',
  releaseLock: 'releases the lock',
  takeConnectionsBack: 'takes back what no successor reads',
  startAccepting: 'accepts connections',
  adoptConnections: 'reads the connections parked for it',
  stopAccepting: 'stops accepting',
  closeSession: 'closes the session',
  exitProcess: 'exits',
  republishControl: 'publishes its control socket again',
  readJournal: 'reads the journal',
  writeJournal: 'journal on disk',
  journal: 'journal on disk',
  bindListeners: 'binds the listeners',
  fence: 'kills what neither serves nor ends',
}

interface Scene {
  readonly world: HandoffWorld
  readonly from: HandoffState
  readonly next: HandoffState
}
type Rule = readonly [label: RegExp, notes: (scene: Scene, ...groups: string[]) => StepNote[]]

const alone = (who: string, text: string): StepNote[] => [{ from: laneOf(who), text }]
const between = (who: string, whom: string, text: string): StepNote[] => [{ from: laneOf(who), to: laneOf(whom), text }]

/** The first rule that fits a label tells what happened. */
const RULES: readonly Rule[] = [
  // Told by another row already, or of no interest to anybody else.
  [/^S:(?:spawnSuccessor|startPrimitive):pid$|<SIGTERM$|!cancelHook$|^S!cancelSwap$|\.greeting</, () => []],
  [/^swap\.requested$/, () => alone('S', 'swap requested')],
  [/^operator\.(\w+)$/, (_, what) => alone('S', `operator: ${what}`)],
  [/^stall:S$/, () => alone('S', 'SIGSTOP')],
  [/^cont:S$/, () => alone('S', 'SIGCONT')],
  [/^restart:S$/, () => alone('S', 'is started again')],
  [/^kill:(\w)$/, (_, who) => alone(who, 'SIGKILL')],
  [/^(?:early:)?(\w)~(?:swap\.)?(\w+)@/, (scene, who, delay) => alone(who, `after ${delayOf(scene, who, delay)}`)],
  [/^(\w)<EOF$/, (_, who) => alone(who, 'sees the supervisor hang up')],
  [/^S<(\w)\.exit$/, (_, who) => alone('S', `hears that the ${laneOf(who)} has ended`)],
  [/^S<(\w)\.(?:session|channel)EOF$/, (_, who) => alone('S', `sees the ${laneOf(who)} hang up`)],
  // Heard: told when it was said.
  [/^\w</, () => []],
  [/^(\w)\.accept#/, (scene, who) => between(who, 'S', says(scene, who) ? 'Hello' : 'turns it away')],
  [/^S!sendToIncumbent\.(\w+)$/, ({ from }, message) => toLiving(from, 'A', message)],
  [/^S!sendToSuccessor\.(\w+)$/, ({ from }, message) => toLiving(from, 'B', message)],
  [/^S!signalSuccessor$/, (scene) => between('S', 'B', signalOf(scene))],
  [/^S!signal(?:Incumbent|Primitive)$/, (scene) => between('S', 'A', signalOf(scene))],
  [/^S:retire\.(\w)\.(\w+)$/, (_, who, signal) => between('S', who, signal)],
  [
    /^S!closeSuccessorChannel$/,
    ({ from }) => (isUp(from, 1) && isOpen(from.primitives[1]?.channel) ? between('S', 'B', 'closes the channel') : []),
  ],
  [
    /^S!closeIncumbentSession$/,
    ({ from }) =>
      isUp(from, 0) && from.primitives[0]?.sessions.some(isOpen) ? between('S', 'A', 'closes the session') : [],
  ],
  [/^S!reportOutcome$/, (scene) => alone('S', `reports: ${outcomeOf(scene)}`)],
  [/^S:dialIncumbent$/, () => between('S', 'A', 'connects to the control path')],
  [/^S:(?:spawnSuccessor|startPrimitive)$/, (scene) => between('S', bornIn(scene), 'starts it')],
  [/^S:takeListeners$/, ({ from }) => between(nameOf(from.kernel.path), 'S', 'gives the listeners back')],
  [/^S:confirmServing$/, ({ from }) => between(nameOf(from.kernel.path), 'S', 'answers on the control path')],
  [/^(\w):(?:lookAround|probeControl)$/, (scene, who) => lookOf(scene, who)],
  [
    /^(\w):acquireLock$/,
    ({ next }, who) => alone(who, nameOf(next.kernel.lock) === who ? 'takes the lock' : 'finds the lock held'),
  ],
  [/^(\w):openState:(behind|unhealthy)$/, (_, who, how) => alone(who, `opens its state: ${how}`)],
  [/^(\w):(\w+):(\w+)$/, (_, who, what, how) => alone(who, `${what} ${how}`)],
  [
    /^(\w)[:!](\w+)$/,
    (scene, who, what) =>
      says(scene, who)
        ? between(who, 'S', what)
        : alone(who, DOINGS[what] ?? (/^[A-Z]/.test(what) ? `${what} reaches nobody` : what)),
  ],
]

/** Rows for one step. @throws Error for a label that no rule knows: the world has grown. */
export function notesOf(world: HandoffWorld, from: HandoffState, { label, next }: Step<HandoffState>): StepNote[] {
  for (const [pattern, notes] of RULES) {
    const match = pattern.exec(label)
    if (match !== null) return notes({ world, from, next }, ...match.slice(1))
  }
  throw new Error(`no words for the step '${label}'`)
}

const nameOf = (slot: number): string => (slot === -1 ? '' : String.fromCharCode(65 + slot))
const slotOf = (name: string): number => name.charCodeAt(0) - 65
const isOpen = (stream: { readonly supervisorEnd: number } | null | undefined): boolean => stream?.supervisorEnd === 1

/** Whether the step leaves more for the supervisor to read. */
function says({ from, next }: Scene, who: string): boolean {
  const unread = ({ primitives }: HandoffState) => {
    const primitive = primitives[slotOf(who)]
    return [primitive?.channel, ...(primitive?.sessions ?? [])].reduce(
      (sum, at) => sum + (at?.toSupervisor.length ?? 0),
      0,
    )
  }
  return unread(next) > unread(from)
}

const isUp = ({ primitives }: HandoffState, slot: number): boolean => primitives[slot]?.life === 'running'

const toLiving = (state: HandoffState, who: string, message: string): StepNote[] =>
  isUp(state, slotOf(who)) ? between('S', who, message) : alone('S', `${message} reaches nobody`)

const bornIn = ({ from, next }: Scene): string =>
  nameOf(next.primitives.findIndex((_, slot) => isUp(next, slot) && !isUp(from, slot)))

const signalOf = ({ from, next }: Scene): string =>
  from.primitives.some((_, slot) => isUp(from, slot) && !isUp(next, slot)) ? 'SIGKILL' : 'SIGTERM'

function lookOf({ world, from }: Scene, who: string): StepNote[] {
  const answering = nameOf(whoAnswers(from, world.players))
  return answering === '' || answering === who
    ? alone(who, 'looks at the control path: nobody answers')
    : between(answering, who, 'answers on the control path')
}

function outcomeOf({ world, from }: Scene): string {
  const effect = world.players.firstOf(from.supervisor.outbox)
  const { result, failure } = (effect?.kind === 'action' ? effect.params : {}) as Partial<SwapOutput>
  return [result, failure].filter((part) => part != null).join(', ')
}

function delayOf({ world, from }: Scene, who: string, delay: string): string {
  const { players } = world
  const input = { policy: players.policy, incumbentPid: 1, start: 'cold', canResume: true, deadlineKnown: true }
  const { swap, supervisor, incumbent, successor } = players
  const role = from.primitives[slotOf(who)]?.role
  const acting = who !== 'S' ? [role === 'successor' ? successor : incumbent] : [swap, supervisor]
  const machine = acting.map(({ stepper }) => stepper.machine).find((one) => delay in one.implementations.delays)
  return machine === undefined ? delay : delayText(machine, delay, input, [])
}
