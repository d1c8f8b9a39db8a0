/** A laid-out chart as one self-contained picture, legible in light and dark. */
import { type Box, PADDING, SIZE } from './boxes.js'
import type { Manner } from './chart.js'
import { LABEL_LINE, type PlacedArrow, type PlacedBox } from './column.js'
import type { Layout } from './layout.js'
import { STYLE } from './style.js'
import { escapeXml, widthOf } from './text.js'

const LEGEND: readonly (readonly [Manner, string])[] = [
  ['on', 'the way forward'],
  ['back', 'something went wrong, and the way back'],
  ['order', 'by order of a person'],
  ['stay', 'the state is not left'],
]

export function svgOf({ boxes, arrows, head, width, height }: Layout, title: string): string {
  const legendWidth = LEGEND.reduce((sum, [, text]) => sum + 50 + widthOf(text, SIZE.does), 0)
  const full = Math.max(width, legendWidth + 18)
  const isInside = ({ state }: PlacedBox) => state.kind === 'compound'
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${n(full)} ${n(height + 52)}" width="${n(full)}" height="${n(height + 52)}" role="img">`,
    `<title>${escapeXml(title)}</title>`,
    `<style>${STYLE}</style>`,
    '<defs>',
    ...(['on', 'back'] as const).map(
      (manner) =>
        `<marker id="${manner}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" orient="auto"><path class="head ${manner}" d="M0 0.5L8 4L0 7.5z"/></marker>`,
    ),
    '</defs>',
    `<rect class="page" x="0.5" y="0.5" width="${n(full - 1)}" height="${n(height + 51)}" rx="8"/>`,
    ...linesOf(head, 8, 6),
    ...boxes.filter(isInside).map(boxSvg),
    ...arrows.map(arrowSvg),
    ...boxes.filter((box) => !isInside(box)).map(boxSvg),
    ...arrows.map(labelSvg),
    ...legend(height + 34),
    '</svg>',
    '',
  ].join('\n')
}

function legend(y: number): string[] {
  let x = 18
  return LEGEND.flatMap(([manner, text]) => {
    const at = x
    x += 50 + widthOf(text, SIZE.does)
    return [mark(manner, at, y - 4), `<text class="does" x="${n(at + 24)}" y="${n(y)}">${escapeXml(text)}</text>`]
  })
}

function boxSvg({ state, box, depth, x, y, width, height }: PlacedBox): string {
  const classes = ['box', state.kind, state.isBack ? 'undo' : '', depth % 2 === 1 ? 'odd' : '']
    .filter(Boolean)
    .join(' ')
  const rect = (inset: number, name: string) =>
    `<rect class="${name}" x="${n(x + inset)}" y="${n(y + inset)}" width="${n(width - 2 * inset)}" height="${n(height - 2 * inset)}" rx="${state.kind === 'final' ? 12 : 6}"/>`
  return [
    rect(0, classes),
    ...(state.kind === 'final' ? [rect(3, 'inner')] : []),
    ...(state.isInitial ? [`<circle class="start" cx="${n(x + PADDING + 4)}" cy="${n(y + 14.5)}" r="4"/>`] : []),
    ...linesOf(box, x, y, state.isBack),
  ].join('\n')
}

const linesOf = ({ lines }: Box, x: number, y: number, isBack = false): string[] =>
  lines.flatMap((line) => [
    ...(line.manner === undefined ? [] : [mark(line.manner, x + PADDING, y + line.y - 4)]),
    `<text class="${line.style === 'more' ? 'cause' : line.style === 'from' && !isBack ? 'does' : line.style}" x="${n(x + line.x)}" y="${n(y + line.y)}">${escapeXml(line.text)}</text>`,
  ])

const mark = (manner: Manner, x: number, y: number): string =>
  manner === 'stay'
    ? `<circle class="dot" cx="${n(x + 8)}" cy="${n(y)}" r="2"/>`
    : `<path class="arrow ${manner}" d="M${n(x)} ${n(y)}h12"/><path class="head ${manner}" d="M${n(x + 10)} ${n(y - 3.5)}l7 3.5l-7 3.5z"/>`

const arrowSvg = ({ arrow, points }: PlacedArrow): string =>
  `<path class="arrow ${arrow.manner}" marker-end="url(#${arrow.manner})" d="${points.map(([x, y], i) => `${i === 0 ? 'M' : 'L'}${n(x)} ${n(y)}`).join('')}"/>`

function labelSvg({ arrow, label }: PlacedArrow): string {
  if (label === null) return ''
  const [x, y] = label
  return arrow.lines
    .map(
      (line, index) =>
        `<text class="label ${arrow.manner}" x="${n(x + 3)}" y="${n(y + 11 + index * LABEL_LINE)}">${escapeXml(line)}</text>`,
    )
    .join('\n')
}

/** Short and the same everywhere. */
const n = (value: number): string => String(Math.round(value * 2) / 2)
