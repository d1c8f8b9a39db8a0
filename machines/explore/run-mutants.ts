/**
 * Explores every mutant: each must yield a counterexample, or be listed as equivalent with a reason.
 */
import { type Exploration, type ExploreOptions, explore } from './explore.js'
import type { Mutant } from './mutants.js'
import type { ViolationKind } from './violations.js'
import type { World } from './world.js'

export interface MutationTrial<S> {
  readonly world: World<S>
  readonly options: ExploreOptions<S>
}

export interface MutationOptions<S, M extends Mutant = Mutant> {
  readonly mutants: readonly M[]
  /** The world around the mutated machine; without a mutant: around the original. Called anew for each. */
  worldWith(mutant: M | undefined): MutationTrial<S>
  /** Mutants that change nothing that can be seen: id and reason. */
  readonly equivalent?: Readonly<Record<string, string>>
  readonly onProgress?: (done: { readonly at: number; readonly of: number; readonly mutant: M }) => void
}

export interface KilledMutant {
  readonly id: string
  /** Id of the property that notices, or `construction` when it is no machine any more. */
  readonly by: string
  readonly how: ViolationKind | 'unwitnessed' | 'construction'
  /** Labels of the counterexample; of an unwitnessed property there is none. */
  readonly labels: readonly string[]
}

export interface SurvivingMutant {
  readonly id: string
  readonly description: string
  /** False: the exploration met its limit of states, so nothing is known yet. */
  readonly complete: boolean
}

export interface MutationReport {
  /** Killed, out of those not listed as equivalent; 1 when there are none. */
  readonly score: number
  readonly killed: readonly KilledMutant[]
  readonly survived: readonly SurvivingMutant[]
  readonly equivalent: readonly { readonly id: string; readonly reason: string }[]
  /** Ids listed as equivalent that are killed, or that no mutant bears: the list needs care. */
  readonly stale: readonly string[]
}

/** The original itself fails: no mutant would prove anything. */
export class UnsoundBaselineError extends Error {
  override readonly name = 'UnsoundBaselineError'
}

/** @throws UnsoundBaselineError when the original violates a property, misses a `sometimes` or is not explored fully. */
export function runMutants<S, M extends Mutant>(options: MutationOptions<S, M>): MutationReport {
  const { mutants, worldWith, equivalent = {}, onProgress } = options
  checkBaseline(worldWith(undefined))
  const killed: KilledMutant[] = []
  const survived: SurvivingMutant[] = []
  const unseen: { id: string; reason: string }[] = []
  mutants.forEach((mutant, at) => {
    onProgress?.({ at, of: mutants.length, mutant })
    const verdict = tryMutant(mutant, worldWith)
    const reason = equivalent[mutant.id]
    if ('by' in verdict) {
      killed.push(verdict)
    } else if (reason !== undefined && verdict.complete) {
      unseen.push({ id: mutant.id, reason })
    } else {
      survived.push(verdict)
    }
  })
  const excused = new Set(unseen.map(({ id }) => id))
  const known = new Set(mutants.map(({ id }) => id))
  const counted = killed.length + survived.length
  return {
    score: counted === 0 ? 1 : killed.length / counted,
    killed,
    survived,
    equivalent: unseen,
    stale: Object.keys(equivalent).filter((id) => !excused.has(id) && (!known.has(id) || isKilled(id, killed))),
  }
}

const isKilled = (id: string, killed: readonly KilledMutant[]) => killed.some((one) => one.id === id)

function checkBaseline<S>({ world, options }: MutationTrial<S>): void {
  const { complete, violations, unwitnessed } = explore(world, options)
  const faults = [...violations.map(({ property }) => property), ...unwitnessed]
  if (!complete || faults.length > 0) {
    throw new UnsoundBaselineError(
      complete ? `the original already fails: ${faults.join(', ')}` : 'the original is not explored completely',
    )
  }
}

function tryMutant<S, M extends Mutant>(
  mutant: M,
  worldWith: MutationOptions<S, M>['worldWith'],
): KilledMutant | SurvivingMutant {
  const { id, description } = mutant
  let trial: MutationTrial<S>
  try {
    trial = worldWith(mutant)
    trial.world.initial()
  } catch {
    return { id, by: 'construction', how: 'construction', labels: [] }
  }
  const { world, options } = trial
  const result = exploreMutant(id, world, { ...options, limits: { ...options.limits, violations: 1 } })
  const [violation] = result.violations
  if (violation) {
    const labels = violation.path.steps.map(({ label }) => label)
    return { id, by: violation.property, how: violation.kind, labels }
  }
  const [missing] = result.unwitnessed
  if (missing !== undefined && result.complete) {
    return { id, by: missing, how: 'unwitnessed', labels: [] }
  }
  return { id, description, complete: result.complete }
}

function exploreMutant<S>(id: string, world: World<S>, options: ExploreOptions<S>): Exploration<S> {
  try {
    return explore(world, options)
  } catch (error) {
    // The world cannot represent what the mutant does. That is neither a kill nor a survivor.
    throw new Error(`the mutant '${id}' leaves the world's own terms: ${String(error)}`, { cause: error })
  }
}
