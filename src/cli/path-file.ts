/** A way through the handoff's world as a file: bounds, decisions that were taken away, and labels. Another year walks it again. */
import { readFileSync, writeFileSync } from 'node:fs'
import { type Replay, type ReplayFile, replay } from '../../machines/explore/index.js'
import { castWithout, DECISIONS, type Decision } from '../../machines/handoff/world/decisions.js'
import { createHandoffWorld, type HandoffState, type WorldOptions } from '../../machines/handoff/world/index.js'
import { cliError } from '../errors/cli.js'

export interface PathFile {
  readonly v: 1
  readonly world: 'handoff'
  readonly bounds: WorldOptions
  readonly without?: readonly Decision[]
  /** What the end of it breaks. */
  readonly property?: string
  readonly says?: string
  readonly replay: ReplayFile
}

export const isDecision = (name: string): name is Decision => Object.hasOwn(DECISIONS, name)

export const writePathFile = (path: string, file: PathFile): void => writeFileSync(path, `${JSON.stringify(file)}\n`)

/** @param path what `handoff check --save` or `handoff paths --json` wrote: its first line counts. @throws HandoffError */
export function readPathFile(path: string): PathFile {
  let given: Partial<PathFile>
  try {
    given = JSON.parse(readFileSync(path, 'utf8').split('\n')[0] ?? '')
  } catch (error) {
    throw cliError('ERR_HANDOFF_USAGE_PATH', [path, (error as NodeJS.ErrnoException).code ?? 'no JSON'], error)
  }
  const { v, world, bounds, without = [], replay: way } = given ?? {}
  const isWhole =
    v === 1 && world === 'handoff' && typeof bounds === 'object' && Array.isArray(way?.labels) && Array.isArray(without)
  if (!isWhole) throw cliError('ERR_HANDOFF_USAGE_PATH', [path, 'not of this form'])
  const unknown = without.find((name) => !isDecision(name))
  if (unknown !== undefined) throw cliError('ERR_HANDOFF_USAGE_PATH', [path, `no decision is called '${unknown}'`])
  return given as PathFile
}

/** @throws UnknownLabelError where the machines of today do not go that way. */
export const walkAgain = ({ bounds, without = [], replay: way }: PathFile): Replay<HandoffState> =>
  replay(createHandoffWorld({ ...bounds, cast: castWithout(without) }), way)
