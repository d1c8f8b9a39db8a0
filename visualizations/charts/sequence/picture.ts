/** A story as a picture: lifelines that show who accepts and who holds the lock, and the time in which nobody accepts. */
import { STYLE } from '../style.js'
import { escapeXml, widthOf, wrap } from '../text.js'
import type { LaneFacts, Story, StoryRow } from './story.js'

const FIRST = 150
const APART = 255
const LAST = 225
const HEAD = 44
const ROW = 27
/** Of a text beside its lifeline, before the next one. */
const WIDEST = 205

export function pictureOf(story: Story, title: string): string {
  const { lanes, rows } = story
  const x = (lane: string) => FIRST + lanes.indexOf(lane) * APART
  const y = (index: number) => HEAD + 54 + index * ROW
  const width = Math.max(FIRST + (lanes.length - 1) * APART + LAST, widthOf(title, 13, true) + 40)
  const bottom = y(rows.length)
  /** What is true from the row of this number on; -1: from the beginning. */
  const factsAt = (index: number) => (index < 0 ? story.start : (rows[index] as StoryRow).facts)
  const spans = [-1, ...rows.keys()].map((index) => ({
    facts: factsAt(index),
    from: index < 0 ? HEAD + 22 : y(index),
    to: index + 1 < rows.length ? y(index + 1) : bottom,
  }))
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${bottom + 52}" width="${width}" height="${bottom + 52}" role="img">`,
    `<title>${escapeXml(title)}</title>`,
    `<style>${STYLE}</style>`,
    `<rect class="page" x="0.5" y="0.5" width="${width - 1}" height="${bottom + 51}" rx="8"/>`,
    `<text class="name" x="18" y="24">${escapeXml(title)}</text>`,
    ...joined(spans, ({ facts }) => ([...facts.values()].some(({ accepts }) => accepts) ? '' : 'gap')).map(
      ({ from, to }) => `<rect class="gap" x="12" y="${from}" width="${width - 24}" height="${to - from}"/>`,
    ),
    ...lanes.flatMap((lane) => lifeline(x(lane), spans, lane)),
    ...lanes.map((lane) => header(x(lane), lane)),
    ...lanes.flatMap((lane) => phaseOf(x(lane), HEAD + 20, undefined, story.start.get(lane))),
    ...rows.flatMap((row, index) => [
      ...rowOf(row, x, y(index)),
      ...lanes.flatMap((lane) => phaseOf(x(lane), y(index), factsAt(index - 1).get(lane), row.facts.get(lane))),
    ]),
    ...legend(bottom + 34),
    '</svg>',
    '',
  ].join('\n')
}

interface Span {
  readonly facts: ReadonlyMap<string, LaneFacts>
  readonly from: number
  readonly to: number
}

/** Neighbouring spans of the same kind as one; those without a kind are left out. */
function joined(spans: readonly Span[], kindOf: (span: Span) => string): { kind: string; from: number; to: number }[] {
  const all: { kind: string; from: number; to: number }[] = []
  for (const span of spans) {
    const kind = kindOf(span)
    const last = all.at(-1)
    if (last !== undefined && last.kind === kind) last.to = span.to
    else all.push({ kind, from: span.from, to: span.to })
  }
  return all.filter(({ kind }) => kind !== '')
}

function lifeline(x: number, spans: readonly Span[], lane: string): string[] {
  const of = (test: (facts: LaneFacts) => boolean, name: string, dx: number, width: number) =>
    joined(spans, ({ facts }) => {
      const mine = facts.get(lane)
      return mine?.isAlive && test(mine) ? name : ''
    }).map(({ from, to }) => `<rect class="${name}" x="${x + dx}" y="${from}" width="${width}" height="${to - from}"/>`)
  return [
    ...of(() => true, 'life', -0.75, 1.5),
    ...of(({ accepts }) => accepts, 'accepts', -4, 8),
    ...of(({ holdsLock }) => holdsLock, 'lock', 5, 3),
  ]
}

function header(x: number, lane: string): string {
  const width = widthOf(lane, 12, true) + 24
  return [
    `<rect class="box" x="${x - width / 2}" y="${HEAD - 2}" width="${width}" height="24" rx="6"/>`,
    `<text class="lane" x="${x}" y="${HEAD + 14}">${escapeXml(lane)}</text>`,
  ].join('')
}

function rowOf({ from, to, kind, text }: StoryRow, x: (lane: string) => number, y: number): string[] {
  const name = kind === 'fault' ? 'fault' : kind === 'timer' ? 'clock' : 'told'
  const [start, end] = [x(from), x(to)]
  if (from === to) {
    const mark =
      kind === 'fault'
        ? `<path class="cross" d="M${start - 6} ${y - 6}l12 12m0 -12l-12 12"/>`
        : `<circle class="point" cx="${start}" cy="${y}" r="3"/>`
    const lines = wrap(text, 11, WIDEST)
    return [
      mark,
      ...lines.map(
        (line, at) => `<text class="${name}" x="${start + 14}" y="${y + 4 + at * 13}">${escapeXml(line)}</text>`,
      ),
    ]
  }
  const way = Math.sign(end - start)
  const [tail, tip] = [start + way * 5, end - way * 9]
  const middle = start + (way * APART) / 2
  return [
    `<path class="arrow on" d="M${tail} ${y}H${tip - way * 6}"/>`,
    `<path class="head on" d="M${tip} ${y}l${-way * 8} -4v8z"/>`,
    `<text class="${name} middle" x="${middle}" y="${y - 4}">${escapeXml(text)}</text>`,
  ]
}

/** Left of its lifeline, where a process enters a phase. */
function phaseOf(x: number, y: number, before: LaneFacts | undefined, now: LaneFacts | undefined): string[] {
  if (now === undefined || now.phase === '' || now.phase === before?.phase) return []
  return [`<text class="phase" x="${x - 10}" y="${y + 14}">${escapeXml(now.phase)}</text>`]
}

function legend(y: number): string[] {
  const signs = [
    [`<rect class="accepts" x="0" y="-9" width="8" height="11"/>`, 'accepts connections'],
    [`<rect class="lock" x="2" y="-9" width="3" height="11"/>`, 'holds the data-dir lock'],
    [`<rect class="gap" x="-2" y="-9" width="13" height="11"/>`, 'nobody accepts: clients wait in the queue'],
    [`<path class="cross" d="M0 -9l10 10m0 -10l-10 10"/>`, 'breaks'],
  ] as const
  let x = 20
  return signs.map(([sign, text]) => {
    const at = x
    x += widthOf(text, 10.5) + 46
    return `<g transform="translate(${at} ${y})">${sign}<text class="does" x="18" y="0">${text}</text></g>`
  })
}
