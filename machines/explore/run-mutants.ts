/**
 * Explores every mutant: each must yield a counterexample, or be the same machine in other words, or be listed as
 * equivalent with a reason. Nothing is left out of the count.
 */
import { type Exploration, type ExploreOptions, explore } from './explore.js'
import type { Mutant } from './mutants.js'
import type { ViolationKind } from './violations.js'
import type { World } from './world.js'

export interface MutationTrial<S> {
  /** What notices, as a report names it. Default: `world`. */
  readonly name?: string
  readonly world: World<S>
  readonly options: ExploreOptions<S>
}

export interface MutationOptions<S, M extends Mutant = Mutant> {
  readonly mutants: readonly M[]
  /**
   * The world around the mutated machine; without a mutant: around the original. Called anew for each. Several worlds are
   * tried in their order until one notices: the cheapest comes first.
   */
  worldWith(mutant: M | undefined): MutationTrial<S> | readonly (() => MutationTrial<S>)[]
  /** Proves that nobody can tell the mutant from the original: it is equivalent then. */
  readonly isSame?: (mutant: M) => boolean
  /** Mutants that change nothing that anybody needs: id and reason. */
  readonly equivalent?: Readonly<Record<string, string>>
  readonly onProgress?: (done: { readonly at: number; readonly of: number; readonly mutant: M }) => void
}

export interface KilledMutant {
  readonly id: string
  /** Id of the property that notices, or `construction` when it is no machine any more. */
  readonly by: string
  /** Name of the trial it noticed in. */
  readonly in: string
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
  /** Killed, out of those that are not equivalent; 1 when there are none. */
  readonly score: number
  readonly killed: readonly KilledMutant[]
  readonly survived: readonly SurvivingMutant[]
  /** Proven by {@link MutationOptions.isSame}: the ids. */
  readonly same: readonly string[]
  readonly equivalent: readonly { readonly id: string; readonly reason: string }[]
  /** Ids listed as equivalent that are killed, proven, or that no mutant bears: the list needs care. */
  readonly stale: readonly string[]
}

/** The original itself fails: no mutant would prove anything. */
export class UnsoundBaselineError extends Error {
  override readonly name = 'UnsoundBaselineError'
}

/** @throws UnsoundBaselineError when the original violates a property, misses a `sometimes` or is not explored fully. */
export function runMutants<S, M extends Mutant>(options: MutationOptions<S, M>): MutationReport {
  const { mutants, worldWith, isSame, equivalent = {}, onProgress } = options
  const checked = new Set<number>()
  // A trial that no mutant reaches needs no baseline; the first is needed by all.
  const checkOnce = (at: number) => {
    if (checked.has(at)) return
    checked.add(at)
    checkBaseline(trialsOf(worldWith(undefined))[at] as () => MutationTrial<S>)
  }
  checkOnce(0)
  const killed: KilledMutant[] = []
  const survived: SurvivingMutant[] = []
  const same: string[] = []
  const excused: { id: string; reason: string }[] = []

  function verdictOf(mutant: M): KilledMutant | SurvivingMutant | 'same' {
    const { id, description } = mutant
    const built = trialsFor(mutant, worldWith)
    if (built === null) return { id, by: 'construction', in: 'construction', how: 'construction', labels: [] }
    // Two notes in the other order are mostly the same: the proof is cheaper than an exploration that finds nothing.
    const isOrder = mutant.kind === 'swapActions'
    if (isOrder && isSame?.(mutant)) return 'same'
    let complete = true
    for (const [at, trial] of built.entries()) {
      if (at === 1 && !isOrder && isSame?.(mutant)) return 'same'
      checkOnce(at)
      const verdict = tryMutant(mutant, trial())
      if (verdict !== null && 'by' in verdict) return verdict
      complete &&= verdict?.complete !== false
    }
    if (built.length === 1 && !isOrder && isSame?.(mutant)) return 'same'
    return { id, description, complete }
  }

  mutants.forEach((mutant, at) => {
    onProgress?.({ at, of: mutants.length, mutant })
    const verdict = verdictOf(mutant)
    const reason = equivalent[mutant.id]
    if (verdict === 'same') same.push(mutant.id)
    else if ('by' in verdict) killed.push(verdict)
    else if (reason !== undefined && verdict.complete) excused.push({ id: mutant.id, reason })
    else survived.push(verdict)
  })
  const counted = killed.length + survived.length
  const needed = new Set([...excused, ...survived].map(({ id }) => id))
  return {
    score: counted === 0 ? 1 : killed.length / counted,
    killed,
    survived,
    same,
    equivalent: excused,
    stale: Object.keys(equivalent).filter((id) => !needed.has(id)),
  }
}

const trialsOf = <S>(trials: MutationTrial<S> | readonly (() => MutationTrial<S>)[]) =>
  'world' in trials ? [() => trials] : trials

function checkBaseline<S>(trial: () => MutationTrial<S>): void {
  const { name, world, options } = trial()
  const { complete, violations, unwitnessed } = explore(world, options)
  const faults = [...violations.map(({ property }) => property), ...unwitnessed]
  if (!complete || faults.length > 0) {
    const where = name === undefined ? '' : ` (${name})`
    throw new UnsoundBaselineError(
      complete
        ? `the original already fails${where}: ${faults.join(', ')}`
        : `the original is not explored completely${where}`,
    )
  }
}

/** @returns null when the mutant is no machine any more. */
function trialsFor<S, M extends Mutant>(mutant: M, worldWith: MutationOptions<S, M>['worldWith']) {
  try {
    const trials = trialsOf(worldWith(mutant))
    trials[0]?.().world.initial()
    return trials
  } catch {
    return null
  }
}

function tryMutant<S>({ id }: Mutant, trial: MutationTrial<S>): KilledMutant | { readonly complete: boolean } | null {
  const { world, options, name = 'world' } = trial
  const result = exploreMutant(id, world, { ...options, limits: { ...options.limits, violations: 1 } })
  const [violation] = result.violations
  if (violation) {
    const labels = violation.path.steps.map(({ label }) => label)
    return { id, by: violation.property, in: name, how: violation.kind, labels }
  }
  const [missing] = result.unwitnessed
  if (missing !== undefined && result.complete) {
    return { id, by: missing, in: name, how: 'unwitnessed', labels: [] }
  }
  return { complete: result.complete }
}

function exploreMutant<S>(id: string, world: World<S>, options: ExploreOptions<S>): Exploration<S> {
  try {
    return explore(world, options)
  } catch (error) {
    // The world cannot represent what the mutant does. That is neither a kill nor a survivor.
    throw new Error(`the mutant '${id}' leaves the world's own terms: ${String(error)}`, { cause: error })
  }
}
