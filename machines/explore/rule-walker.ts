/**
 * Walks through a world of rules: states are rows of numbers from beginning to end, and rules and properties are asked only
 * what they were not asked before.
 */
import type { StateId } from './graph.js'
import { MemoForest } from './memo-forest.js'
import { MemoTree } from './memo-tree.js'
import type { Verdict } from './property.js'
import { EMPTY, FieldTable, type FieldWrite, RecordTable } from './record-table.js'
import { RowIndex } from './row-index.js'
import type { Change, PartKind, RuleSet, Write } from './rules.js'
import type { Search, Walker } from './search.js'
import { ViewIndex } from './view-index.js'
import { Looks, type Place, watchedState } from './watched.js'
import { ContractError, type Step, type StepKind } from './world.js'

/** A write to one place of the row; without `to` the place becomes empty. */
interface RowWrite {
  readonly at: number
  readonly table: RecordTable
  readonly to: FieldWrite | null
}

/** What all steps of one label share. */
interface Sort<S> {
  readonly label: string
  readonly kind: StepKind
  labelId: number
  /** Those whose answer is not settled by the label alone. */
  checks: readonly EdgeCheck<S>[]
}

interface EdgeCheck<S> {
  readonly property: Search<S>['onEdge'][number] | undefined
  readonly wanted: Parameters<Search<S>['wantedOnEdge']['add']>[0] | undefined
  readonly tree: MemoTree<boolean | string>
}

/** What is known of all states that look the same to marks and properties. */
interface Judgement<S> {
  readonly bits: number
  readonly broken: readonly {
    readonly property: Search<S>['always'][number]
    readonly verdict: Exclude<Verdict, true>
  }[]
}

interface RowChange<S> {
  readonly sort: Sort<S>
  readonly covers: number
  readonly writes: readonly RowWrite[]
}

interface Offer<S> {
  readonly changes: readonly RowChange<S>[]
  /** Places of the row where its signals are kept. */
  readonly signals: readonly number[]
}

const NOTHING: readonly string[] = []
const NO_WRITES: readonly RowWrite[] = []

export function createRuleWalker<S extends object>(search: Search<S>, set: RuleSet<S>): Walker {
  const { always, onEdge, marks, wanted, wantedOnEdge, witnesses, store, journal, log, kept, initial } = search
  const tables: RecordTable[] = []
  const places: Place[] = []
  const placeOf = new Map<string, number>()
  for (const [part, kind] of Object.entries<PartKind>(set.shape)) {
    const table = new RecordTable(part, kind)
    tables.push(table)
    placeOf.set(part, places.length)
    if (kind.places === undefined) places.push({ part, index: -1, table })
    for (let index = 0; index < (kind.places ?? 0); index++) places.push({ part, index, table })
  }
  const width = places.length
  const index = new RowIndex(width)
  const signals = new FieldTable('signals')
  const signalPlace = new Map((set.signals ?? []).map((signal, nth) => [signal, 2 * width + 1 + nth]))
  /** The state that is looked at; the one that a step leads to; the step's covers; what was heard. */
  const row = new Int32Array(2 * width + 1 + signalPlace.size)
  const covers = new FieldTable('covers')
  const coverIds: number[] = []
  const looks = new Looks()
  const from = watchedState<S>(places, row, 0, looks)
  const next = watchedState<S>(places, row, width, looks)
  signals.set(1, 1)

  function placeOfSignal(signal: string): number {
    const at = signalPlace.get(signal)
    if (at === undefined) throw new ContractError(`the rules have no signal '${signal}'`)
    return at
  }

  function hears(signal: string): boolean {
    const at = placeOfSignal(signal)
    looks.note(at, signals)
    return row[at] === 1
  }

  // --- questions ---

  const remembered = <R>(compute: () => R): MemoTree<R> => new MemoTree(compute, looks)
  const rules = set.rules.map((rule) => remembered(() => offerOf(rule(from))))
  const laterRules = (set.laterRules ?? []).map((rule) => remembered(() => offerOf(rule(from, hears))))
  const noOffer: Offer<S> = { changes: [], signals: [] }
  const forest = new MemoForest([...rules, ...laterRules], noOffer, width)
  const tidied = (set.tidy ?? []).map((tidy) => remembered(() => rowWritesOf(tidy(next))))
  const views = new ViewIndex(places, width)
  const seen = <R>(compute: () => R) => new MemoTree(compute, looks, (looked) => views.lookedAt(looked))
  const markTrees = marks.map(([, holds]) => seen(() => holds(next)))
  const alwaysTrees = always.map((property) => ({ property, tree: seen(() => property.holds(next)) }))
  /** By the number of the view; of this generation. */
  const judgements: Judgement<S>[] = []
  let judgedAt = 0
  const wantedTrees = [...wanted].map((property) => ({ property, tree: remembered(() => property.holds(next)) }))
  const sorts = new Map<string, Sort<S>>()

  function rowWriteOf({ part, place = 0, fields }: Write<S>): RowWrite {
    const at = (placeOf.get(part) ?? Number.NaN) + place
    const held = places[at]
    if (held?.part !== part || (fields === null && held.index === -1)) {
      throw new ContractError(`a step changes '${part}' ${place}, which is not there or cannot be empty`)
    }
    const { table } = held
    return { at, table, to: fields === null ? null : table.write(fields) }
  }

  function rowWritesOf(writes: Iterable<Write<S>>): readonly RowWrite[] {
    const all = Array.from(writes, rowWriteOf)
    return all.length === 0 ? NO_WRITES : all
  }

  function offerOf(offered: Iterable<Change<S>>): Offer<S> {
    const all = [...offered]
    if (all.length === 0) return noOffer
    const changes = all.map((change) => ({
      sort: sortOf(change),
      covers: coversOf(change.covers ?? NOTHING),
      writes: change.writes.map(rowWriteOf),
    }))
    return { changes, signals: [...new Set(all.flatMap((change) => (change.signals ?? []).map(placeOfSignal)))] }
  }

  function coversOf(items: readonly string[]): number {
    const id = covers.idOf(items)
    covers.set(id, id)
    return id
  }

  function sortOf({ label, kind }: Change<S>): Sort<S> {
    const name = `${kind} ${label}`
    let sort = sorts.get(name)
    if (sort === undefined) {
      const step: Step<S> = {
        label,
        kind,
        next,
        get covers() {
          looks.note(2 * width, covers)
          return covers.valueIn(row[2 * width] as number) as readonly string[]
        },
      }
      const checkOf = (property: EdgeCheck<S>['property'], sighting: EdgeCheck<S>['wanted']): EdgeCheck<S> => ({
        property,
        wanted: sighting,
        tree: remembered(() => (property ?? sighting)?.holds(from, step) ?? true),
      })
      const checks = [
        ...onEdge.map((property) => checkOf(property, undefined)),
        ...[...wantedOnEdge].map((sighting) => checkOf(undefined, sighting)),
      ]
      sort = { label, kind, labelId: -1, checks }
      sorts.set(name, sort)
    }
    return sort
  }

  // --- the walk ---

  function write(writes: readonly RowWrite[]): void {
    for (let nth = 0; nth < writes.length; nth++) {
      const { at, table, to } = writes[nth] as RowWrite
      row[width + at] = to === null ? EMPTY : table.changed(row[width + at] as number, to)
    }
  }

  function discover(id: StateId, parentEdge: number): void {
    store.parentEdges.push(parentEdge)
    const { bits, broken } = judged()
    store.marks.push(bits)
    kept?.push(stateIn())
    for (const { property, verdict } of broken) log.add(property, 'always', verdict, { state: id })
    if (wanted.size === 0) return
    for (const { property, tree } of wantedTrees) {
      if (!wanted.has(property) || !tree.of(row)) continue
      witnesses.set(property.id, { state: id })
      wanted.delete(property)
    }
  }

  /** All marks and all that must always hold, for the state that a step leads to. */
  function judged(): Judgement<S> {
    const { generation } = views
    if (judgements.length > 0 && generation !== judgedAt) judgements.length = 0
    judgedAt = generation
    const number = views.add(row)
    const known = judgements[number]
    if (known !== undefined) return known
    let bits = 0
    for (let bit = 0; bit < markTrees.length; bit++) if (markTrees[bit]?.of(row) === true) bits |= 1 << bit
    const broken: Judgement<S>['broken'][number][] = []
    for (const { property, tree } of alwaysTrees) {
      const verdict = tree.of(row)
      if (verdict !== true) broken.push({ property, verdict })
    }
    const judgement = { bits, broken }
    if (views.generation === generation) judgements[number] = judgement
    return judgement
  }

  function checkEdge(sort: Sort<S>, edge: number): void {
    let isSettled = false
    for (const { property, wanted: sighting, tree } of sort.checks) {
      if (property !== undefined) {
        const verdict = tree.of(row)
        if (verdict !== true) log.add(property, 'edge', verdict, { edge })
        isSettled ||= verdict === true && tree.isConstant
      } else if (sighting !== undefined && wantedOnEdge.has(sighting) && tree.of(row)) {
        witnesses.set(sighting.id, { edge })
        wantedOnEdge.delete(sighting)
        isSettled = true
      } else isSettled ||= tree.isConstant || (sighting !== undefined && !wantedOnEdge.has(sighting))
    }
    if (isSettled) sort.checks = sort.checks.filter((check) => !isSettledCheck(check))
  }

  const isSettledCheck = ({ property, wanted: sighting, tree }: EdgeCheck<S>): boolean =>
    property === undefined
      ? tree.isConstant || (sighting !== undefined && !wantedOnEdge.has(sighting))
      : tree.isConstant && tree.of(row) === true

  function take(id: StateId, { changes, signals: told }: Offer<S>): void {
    for (let nth = 0; nth < told.length; nth++) row[told[nth] as number] = 1
    for (let nth = 0; nth < changes.length; nth++) {
      const { sort, covers: covered, writes } = changes[nth] as RowChange<S>
      for (let at = 0; at < width; at++) row[width + at] = row[at] as number
      write(writes)
      for (let at = 0; at < tidied.length; at++) write((tidied[at] as MemoTree<readonly RowWrite[]>).of(row))
      if (sort.labelId === -1) sort.labelId = journal.labelId(sort.label, sort.kind)
      const before = index.size
      const target = index.add(row, width)
      const edge = journal.addKnown(id, target, sort.labelId, coverIdOf(covered))
      if (target === before) discover(target, edge)
      if (sort.checks.length > 0) {
        row[2 * width] = covered
        checkEdge(sort, edge)
      }
    }
  }

  function coverIdOf(covered: number): number {
    const known = coverIds[covered]
    if (known !== undefined) return known
    const id = journal.coverId(covers.valueIn(covered) as readonly string[])
    coverIds[covered] = id
    return id
  }

  /** The state in the second half of the row. */
  function stateIn(): S {
    const state: Record<string, unknown> = {}
    places.forEach(({ part, index: listed, table }, at) => {
      const record = table.record(row[width + at] as number)
      if (listed === -1) state[part] = record
      else if (listed === 0) state[part] = [record]
      else (state[part] as unknown[]).push(record)
    })
    return state as S
  }

  function put(state: S): void {
    places.forEach(({ part, index: listed, table }, at) => {
      const held = (state as Readonly<Record<string, unknown>>)[part]
      row[width + at] = table.codeOf((listed === -1 ? held : (held as readonly unknown[])[listed]) as object | null)
    })
  }

  const offers: Offer<S>[] = []
  return {
    begin() {
      initial.forEach((state, nth) => {
        put(state)
        const before = index.size
        const id = index.add(row, width)
        if (id !== before) return
        store.initialIndex.push(nth)
        discover(id, -1)
      })
    },
    expand(id) {
      index.load(id, row)
      forest.enter(row)
      try {
        // All of the first rules speak before any of their steps is taken, as in `steps`.
        for (let nth = 0; nth < rules.length; nth++) offers[nth] = forest.take(nth, row)
        row.fill(0, 2 * width)
        for (let nth = 0; nth < rules.length; nth++) take(id, offers[nth] as Offer<S>)
        for (let nth = 0; nth < laterRules.length; nth++) take(id, forest.take(rules.length + nth, row))
      } catch (error) {
        forest.leave()
        throw error
      }
    },
    get size() {
      return index.size
    },
    get bytes() {
      return index.bytes
    },
    get parts() {
      return tables.reduce((sum, { size }) => sum + size, 0)
    },
  }
}
