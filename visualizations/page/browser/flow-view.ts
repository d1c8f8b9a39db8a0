/** The small picture of a machine: every state as a chip in its order, where it is, where it was, where it can go. */
import type { ActorView } from '../scene.js'
import { type Chart, isDrawnWhole } from '../statechart.js'
import { spelled, wordsFor } from '../words.js'
import { html, svg } from './dom.js'
import { drawnAs } from './layout.js'

export class FlowView {
  readonly element = html('div', { class: 'flow' })
  readonly #arrow = svg('svg', { class: 'step', 'aria-hidden': 'true' })
  readonly #chips = new Map<string, HTMLElement>()
  #chart: Chart | null = null

  show(actor: ActorView): void {
    if (this.#chart !== actor.chart) this.#build(actor.chart)
    const drawn = (id: string) => drawnAs(actor.chart, id)
    const active = new Set(actor.active.map(drawn))
    const next = new Set(
      actor.over
        ? []
        : actor.chart.edges.filter(({ source }) => actor.active.includes(source)).map(({ target }) => drawn(target)),
    )
    const visited = new Set([...actor.visited].map(drawn))
    for (const [id, chip] of this.#chips) {
      chip.classList.toggle('active', active.has(id))
      chip.classList.toggle('next', next.has(id) && !active.has(id))
      chip.classList.toggle('visited', visited.has(id))
    }
    const { taken } = actor
    this.#draw(taken === null ? null : [drawn(taken.source), drawn(taken.target)])
  }

  #build(chart: Chart): void {
    this.#chart = chart
    this.#chips.clear()
    const make = (id: string): HTMLElement => {
      const node = chart.nodes.get(id)
      const label = spelled(node?.key ?? id)
      const children = node === undefined || isDrawnWhole(node) ? [] : node.children
      const chip =
        children.length === 0
          ? html('span', { class: `chip${node?.final ? ' final' : ''}` }, label)
          : html('div', { class: 'group' }, html('span', { class: 'name' }, label), ...children.map(make))
      chip.title = `${id}: ${wordsFor([id])}`
      chip.dataset.id = id
      this.#chips.set(id, chip)
      return chip
    }
    this.element.replaceChildren(...(chart.nodes.get(chart.id)?.children ?? []).map(make), this.#arrow)
  }

  /** From the chip that was left to the one that was entered. */
  #draw(step: readonly [string, string] | null): void {
    this.#arrow.replaceChildren()
    const [from, to] = (step ?? []).map((id) => this.#chips.get(id)?.getBoundingClientRect())
    if (from === undefined || to === undefined || from.width === 0 || step?.[0] === step?.[1]) return
    const area = this.element.getBoundingClientRect()
    const middle = (box: DOMRect) => ({
      x: box.left + box.width / 2 - area.left + this.element.scrollLeft,
      y: box.top + box.height / 2 - area.top + this.element.scrollTop,
    })
    const [a, b] = [middle(from), middle(to)]
    const down = b.y >= a.y
    const [y1, y2] =
      Math.abs(b.y - a.y) < 8
        ? [a.y, b.y]
        : [a.y + (down ? from.height / 2 : -from.height / 2), b.y + (down ? -to.height / 2 : to.height / 2)]
    const sameRow = y1 === a.y
    const right = b.x >= a.x
    const [x1, x2] = sameRow
      ? [a.x + (right ? from.width / 2 : -from.width / 2), b.x + (right ? -to.width / 2 : to.width / 2)]
      : [a.x, b.x]
    const bend = sameRow ? `Q${(x1 + x2) / 2} ${y1 - 16} ` : `C${x1} ${(y1 + y2) / 2} ${x2} ${(y1 + y2) / 2} `
    this.#arrow.append(
      svg('path', { d: `M${x1} ${y1}${bend}${x2} ${y2}`, class: 'way' }),
      svg('circle', { cx: x2, cy: y2, r: 4 }),
    )
  }
}
