/** A swap's messages as text, time downwards: three lifelines, one line a message. */
import type { Party } from '../observe/exchange.js'
import type { RecordedStep } from '../observe/history.js'
import { duration } from './format.js'

/** Column of each lifeline, and the width of all. */
const AT: Readonly<Record<Party, number>> = { incumbent: 12, supervisor: 36, successor: 60 }
const WIDTH = 84

export function sequenceText(steps: readonly RecordedStep[]): string {
  const head = ' '.repeat(WIDTH).split('')
  for (const [party, at] of Object.entries(AT)) put(head, at - Math.floor(party.length / 2), party)
  return [head.join(''), ...steps.map(lineOf)].map((line) => line.trimEnd()).join('\n')
}

function lineOf({ from, to, what, kind, ms }: RecordedStep): string {
  const line = ' '.repeat(WIDTH).split('')
  for (const at of Object.values(AT)) line[at] = '│'
  if (kind === 'message') arrow(line, AT[from], AT[to], what)
  else put(line, AT[from === 'supervisor' ? to : from] + 2, `· ${what}`)
  return `${line.join('').trimEnd().padEnd(WIDTH)} ${duration(ms)}`
}

function arrow(line: string[], from: number, to: number, what: string): void {
  const [left, right] = [Math.min(from, to) + 1, Math.max(from, to) - 1]
  for (let i = left; i <= right; i += 1) line[i] = '─'
  if (to > from) line[right] = '▶'
  else line[left] = '◀'
  put(line, Math.floor((left + right - what.length) / 2), ` ${what} `)
}

function put(line: string[], at: number, text: string): void {
  for (const [i, char] of [...text].entries()) if (at + i >= 0) line[at + i] = char
}
