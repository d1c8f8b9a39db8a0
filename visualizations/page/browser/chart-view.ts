/** One role: its chart with the active state, what that means in words, and its clocks. */
import type { ActorView } from '../scene.js'
import { plainEvent } from '../statechart.js'
import { spelled, wordsFor } from '../words.js'
import { html, ms, svg } from './dom.js'
import { FlowView } from './flow-view.js'
import { drawnAs, type Layout, layoutOf } from './layout.js'

export class ChartView {
  readonly element: HTMLElement
  readonly #who = html('span', { class: 'who' })
  readonly #words = html('div', { class: 'words', 'aria-live': 'polite' })
  readonly #clocks = html('div', { class: 'clocks' })
  readonly #picture = html('div', { class: 'picture' })
  readonly #flow = new FlowView()
  #drawn: { chart: ActorView['chart']; layout: Layout } | null = null
  #actor: ActorView | null = null
  #asked: ActorView['chart'] | null = null

  constructor(title: string, onEnlarge: () => void) {
    const head = html('header', {}, html('h2', {}, title), this.#who)
    head.addEventListener('click', onEnlarge)
    this.element = html(
      'section',
      { class: 'panel', tabindex: 0, 'aria-label': title },
      head,
      this.#words,
      this.#clocks,
      this.#flow.element,
      this.#picture,
    )
  }

  show(actor: ActorView | null): void {
    this.#actor = actor
    this.element.classList.toggle('over', actor?.over ?? true)
    if (actor === null) {
      this.#who.textContent = 'not seen yet'
      this.#words.textContent = ''
      this.#picture.replaceChildren()
      this.#flow.element.replaceChildren()
      this.#drawn = null
      return
    }
    const build = actor.buildId === '' ? '' : ` · build ${actor.buildId}`
    this.#who.textContent = `pid ${actor.pid}${build}${actor.over ? ' · ended' : ''}`
    const inner =
      drawnAs(actor.chart, actor.active.at(-1) ?? '')
        .split('.')
        .at(-1) ?? ''
    this.#words.replaceChildren(html('b', {}, spelled(inner)), ` — ${wordsFor(actor.active)}`)
    this.element.dataset.state = actor.active.at(-1) ?? ''
    if (!this.large) this.#flow.show(actor)
    else if (this.#drawn?.chart === actor.chart) this.#mark()
    else void this.#draw(actor)
  }

  /** Large: the whole graph with its arrows; small: the states in their order. */
  get large(): boolean {
    return this.element.classList.contains('large')
  }

  /** @param now Unix ms */
  tick(now: number): void {
    const timers = this.#actor?.timers ?? []
    this.#clocks.replaceChildren(
      ...timers.map(({ event, delayMs, startedAt }) => {
        const left = Math.max(0, delayMs - (now - startedAt))
        const bar = html('i', { style: `width:${(100 * left) / Math.max(1, delayMs)}%` })
        return html(
          'div',
          { class: 'clock', title: event },
          `${spelled(plainEvent(event).replace('after ', ''))} ${ms(left)}`,
          html('div', {}, bar),
        )
      }),
    )
  }

  async #draw(actor: ActorView): Promise<void> {
    if (this.#asked === actor.chart) return
    this.#asked = actor.chart
    const layout = await layoutOf(actor.chart)
    if (this.#asked !== actor.chart) return
    this.#drawn = { chart: actor.chart, layout }
    const margin = 6
    const width = layout.width + 2 * margin
    const fits = this.#picture.clientWidth / width
    const picture = svg('svg', {
      viewBox: `${-margin} ${-margin} ${layout.width + 2 * margin} ${layout.height + 2 * margin}`,
      preserveAspectRatio: 'xMidYMid meet',
      role: 'img',
      // Text stays readable; what does not fit is scrolled to.
      width: Math.round(width * Math.max(0.85, Math.min(1.3, fits))),
    })
    picture.append(
      svg(
        'defs',
        {},
        svg(
          'marker',
          {
            id: 'tip',
            viewBox: '0 0 8 8',
            refX: 7,
            refY: 4,
            markerWidth: 7,
            markerHeight: 7,
            markerUnits: 'userSpaceOnUse',
            orient: 'auto',
          },
          svg('path', { d: 'M0 0L8 4L0 8z' }),
        ),
      ),
    )
    for (const box of layout.boxes.filter(({ group }) => group)) picture.append(boxOf(box, actor))
    for (const { edge, points } of layout.arrows) {
      const middle = points[Math.floor((points.length - 1) / 2)] ?? { x: 0, y: 0 }
      const next = points[Math.floor((points.length - 1) / 2) + 1] ?? middle
      const label = svg(
        'text',
        { x: (middle.x + next.x) / 2, y: (middle.y + next.y) / 2 - 5 },
        edge.events.slice(0, 2).join(' or '),
      )
      const path = svg('path', { d: `M${points.map(({ x, y }) => `${x} ${y}`).join('L')}` })
      const title = svg('title', {}, `${edge.source} → ${edge.target}: ${edge.events.join(', ')}`)
      picture.append(
        svg('g', { class: 'edge', 'data-source': edge.source, 'data-target': edge.target }, path, label, title),
      )
    }
    for (const box of layout.boxes.filter(({ group }) => !group)) picture.append(boxOf(box, actor))
    this.#picture.replaceChildren(picture)
    this.#mark()
  }

  #mark(): void {
    const actor = this.#actor
    if (actor === null) return
    const drawn = (id: string) => drawnAs(actor.chart, id)
    const active = new Set(actor.active.map(drawn))
    const { taken } = actor
    for (const state of this.#picture.querySelectorAll<SVGElement>('.state')) {
      state.classList.toggle('active', active.has(state.dataset.id ?? ''))
    }
    const here = [...this.#picture.querySelectorAll<SVGElement>('.state.active:not(.group)')].at(-1)
    here?.scrollIntoView({ block: 'center', inline: 'center', behavior: 'smooth' })
    for (const edge of this.#picture.querySelectorAll<SVGElement>('.edge')) {
      const { source = '', target = '' } = edge.dataset
      const isTaken = taken !== null && drawn(taken.source) === source && drawn(taken.target) === target
      edge.classList.toggle('taken', isTaken)
      edge.classList.toggle('next', !actor.over && active.has(source) && !isTaken)
    }
  }
}

function boxOf(box: Layout['boxes'][number], actor: ActorView): SVGElement {
  const { id, x, y, width, height, label, group } = box
  const final = actor.chart.nodes.get(id)?.final === true
  const text = group
    ? svg('text', { x: x + 10, y: y + 14 }, label)
    : svg('text', { x: x + width / 2, y: y + height / 2 }, label)
  return svg(
    'g',
    { class: `state${group ? ' group' : ''}${final ? ' final' : ''}`, 'data-id': id },
    svg('rect', { x, y, width, height, rx: 6 }),
    text,
    svg('title', {}, `${id}: ${wordsFor([id])}`),
  )
}
