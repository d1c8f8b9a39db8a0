import { readdirSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { machineParts } from '../../machines/explore/machine-parts.js'
import { mutants } from '../../machines/explore/mutants.js'
import { DEFAULT_POLICY } from '../../machines/handoff/policy.js'
import { type ChartState, chartOf } from '../../visualizations/charts/chart.js'
import type { PlacedBox } from '../../visualizations/charts/column.js'
import { chartFiles, GENERATED } from '../../visualizations/charts/files.js'
import { layoutOf } from '../../visualizations/charts/layout.js'
import { CHARTS, type ChartSource } from '../../visualizations/charts/machines.js'
import { svgOf } from '../../visualizations/charts/svg.js'
import { FIRM } from '../../visualizations/charts/text.js'
import { ROOT, read } from '../tidy/sources.js'

const files = await chartFiles()

describe('visualizations/generated', () => {
  test.each([...files.keys()])('%s is what the machines say; npm run charts rewrites it', (path) => {
    expect(read(path)).toBe(files.get(path))
  })

  test('nothing else lies there, and a second run makes the same bytes', async () => {
    expect(
      readdirSync(ROOT + GENERATED)
        .map((name) => GENERATED + name)
        .sort(),
    ).toEqual([...files.keys()].sort())
    expect(await chartFiles()).toEqual(files)
  })

  test('every picture is small enough to be looked at', () => {
    const large = [...files].filter(([, content]) => content.length > 150_000).map(([path]) => path)
    expect(large).toEqual([])
  })
})

test('another limit is another chart', async () => {
  const source = CHARTS.find(({ name }) => name === 'swap') as ChartSource
  const draw = async (changed: ChartSource) => svgOf(await layoutOf(chartOf(changed), changed), '')
  const policy = { ...DEFAULT_POLICY, livenessMs: 11_000 }
  expect(await draw(source)).not.toContain(`(11${FIRM}s)`)
  expect(await draw({ ...source, input: { policy, incumbentPid: 1 } })).toContain(`(11${FIRM}s)`)
})

test.each(CHARTS)('no guard, clock or actor can leave $name without leaving its chart', (source) => {
  const drawn = JSON.stringify(chartOf(source))
  const kinds = new Set(['dropGuard', 'negateGuard', 'dropTimer', 'dropInvoke'])
  const changed = mutants(source.machine).filter(({ kind }) => kinds.has(kind))
  const unseen = changed.filter((mutant) => JSON.stringify(chartOf({ ...source, machine: mutant.build() })) === drawn)
  expect(unseen.map(({ id }) => id)).toEqual([])
  expect(changed.length).toBeGreaterThan(0)
})

describe.each(CHARTS)('the chart of $name', (source) => {
  const { machine, name } = source
  const parts = machineParts(machine)
  const svg = files.get(`${GENERATED}${name}.svg`) ?? ''
  const mermaid = files.get(`${GENERATED}${name}.mmd`) ?? ''

  test('marks ways back only by states that there are', () => {
    const known = new Set(parts.states)
    const named = [...source.back, ...source.beside.flat()].filter((path) => !known.has(`${machine.id}.${path}`))
    expect(named).toEqual([])
  })

  test('shows every state, and every event, clock and actor that leaves one', () => {
    const inner = (id: string) => parts.states.some((other) => other.startsWith(`${id}.`))
    const alone = (id: string) => {
      const parent = id.slice(0, id.lastIndexOf('.'))
      return (
        parent !== machine.id &&
        parts.states.filter((other) => other.slice(0, other.lastIndexOf('.')) === parent).length === 1
      )
    }
    const shown = parts.states.filter((id) => id !== machine.id && (inner(id) || !alone(id)))
    const text = svg.replace(/<[^>]+>/g, ' ')
    for (const id of shown) {
      const key = id.slice(id.lastIndexOf('.') + 1)
      expect(svg, id).toContain(`>${key}</text>`)
      expect(mermaid, id).toContain(`state "${key}"`)
    }
    for (const { kind, trigger, targets } of parts.transitions) {
      if (targets.length === 0 || kind === 'always') continue
      const word = kind === 'on' ? trigger.split('.').at(-1) : /\((.*)\)/.exec(trigger)?.[1]
      expect(text, trigger).toContain(word)
    }
  })

  test('has no box over another, and every box inside its own', async () => {
    const { boxes, arrows, width, height } = await layoutOf(chartOf(source), source)
    const holds = (outer: PlacedBox, box: PlacedBox) =>
      box.x >= outer.x &&
      box.y >= outer.y &&
      box.x + box.width <= outer.x + outer.width &&
      box.y + box.height <= outer.y + outer.height
    const meets = (a: PlacedBox, b: PlacedBox) =>
      a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height
    const isIn = (a: PlacedBox, b: PlacedBox) => a.state.id.startsWith(`${b.state.id}.`)
    for (const [index, box] of boxes.entries()) {
      expect(box.x >= 0 && box.y >= 0 && box.x + box.width <= width && box.y + box.height <= height).toBe(true)
      for (const other of boxes.slice(index + 1)) {
        const nested = isIn(other, box)
        expect(nested ? holds(box, other) : !meets(box, other), `${box.state.id} and ${other.state.id}`).toBe(true)
        // What a box says about itself is not covered by what it holds.
        if (nested) expect(other.y, other.state.id).toBeGreaterThanOrEqual(box.y + box.box.height)
      }
    }
    for (const { arrow, points } of arrows) {
      const target = boxes.find(({ state }) => state.id === arrow.to) as PlacedBox
      const [x, y] = points.at(-1) ?? [0, 0]
      const touches = holds(target, { ...target, x, y, width: 0, height: 0 })
      expect(
        touches && (Math.abs(y - target.y) < 1 || Math.abs(y - target.y - target.height) < 1),
        `${arrow.from} → ${arrow.to}`,
      ).toBe(true)
    }
  })

  test('calls nothing a way forward that leads into a way back or out of one', () => {
    const back = source.back.map((path) => `${machine.id}.${path}`)
    const isBack = (id: string) => back.some((path) => `${id}.`.startsWith(`${path}.`))
    const visit = (state: ChartState) => {
      for (const { manner, to } of state.causes) {
        if (to === null || to === state.id) expect(manner).toBe('stay')
        else if (manner === 'on') expect(isBack(to) || isBack(state.id), `${state.id} → ${to}`).toBe(false)
      }
      state.children.forEach(visit)
    }
    visit(chartOf(source).root)
  })
})
