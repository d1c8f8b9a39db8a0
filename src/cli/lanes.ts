/** Steps of the explored world as a sequence chart in text: a column for each process, time downwards. */
import type { StepKind } from '../../machines/explore/index.js'

export interface ChartStep {
  readonly label: string
  readonly kind: StepKind
}

const WIDTH = 26
/** What breaks, what an outsider asks for, and what the clock brings are told from what the processes do. */
const MARKS: Readonly<Record<StepKind, string>> = { fault: '!', trigger: '>', timer: '~', progress: ' ' }

interface Row {
  readonly mark: string
  /** Lane that it happens in, or begins in. */
  readonly from: string
  readonly to: string | null
  readonly text: string
}

export function chartText(steps: readonly ChartStep[]): string {
  const rows = steps.map(rowOf)
  const lanes = [...new Set(['S', ...rows.flatMap(({ from, to }) => [from, to ?? from])])].sort(
    // The supervisor stands first, the primitives in the order of their birth.
    (a, b) => Number(b === 'S') - Number(a === 'S') || (a < b ? -1 : 1),
  )
  const at = (lane: string) => 4 + lanes.indexOf(lane) * WIDTH
  const lines = rows.map(({ mark, from, to, text }) => {
    const line = ' '.repeat(at(lanes.at(-1) as string) + 1).split('')
    for (const lane of lanes) line[at(lane)] = '│'
    line[0] = mark
    if (to === null || to === from) put(line, at(from) + 2, text)
    else arrow(line, at(from), at(to), text)
    return line.join('').trimEnd()
  })
  const head = ' '.repeat(4).split('')
  for (const lane of lanes) put(head, at(lane), lane)
  return [head.join(''), ...lines].map((line) => `${line}\n`).join('')
}

/** Labels are the world's: who did it comes first; what is heard is drawn as it arrives. */
function rowOf({ label, kind }: ChartStep): Row {
  const mark = MARKS[kind]
  const [, whose, said, heardOf] = /^([A-HS])<(?:([A-H])\.)?(.*)$/.exec(label) ?? []
  if (whose !== undefined) return { mark, from: said ?? 'S', to: whose, text: heardOf ?? '' }
  const [, who = 'S', what] = /^([A-HS])[.!:~](.*)$/.exec(label) ?? []
  if (what !== undefined) return { mark, from: who, to: null, text: what }
  const named = /(?:^|:)([A-HS])(?:[.!:~]|$)/.exec(label)?.[1]
  return { mark, from: named ?? 'S', to: null, text: label }
}

function arrow(line: string[], from: number, to: number, what: string): void {
  const [left, right] = [Math.min(from, to) + 1, Math.max(from, to) - 1]
  for (let i = left; i <= right; i += 1) line[i] = '─'
  line[to > from ? right : left] = to > from ? '▶' : '◀'
  put(line, Math.floor((left + right - what.length) / 2), ` ${what} `)
}

function put(line: string[], at: number, text: string): void {
  for (const [i, char] of [...text].entries()) {
    while (line.length < at + i) line.push(' ')
    line[at + i] = char
  }
}
