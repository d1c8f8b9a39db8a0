/** The demo's command line. */
import { parseArgs } from 'node:util'

export interface DemoOptions {
  /** Swaps that must commit; one of each failing kind comes on top. */
  readonly swaps: number
  /** How long the swaps are spread over, s; a run takes longer when the swaps themselves do. */
  readonly seconds: number
  readonly json: boolean
}

export const USAGE = 'usage: npm run demo -- [--swaps N] [--seconds N] [--json]'

/** @throws Error that says what is wrong, in one line */
export function parseOptions(args: readonly string[]): DemoOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      swaps: { type: 'string', default: '10' },
      seconds: { type: 'string', default: '20' },
      json: { type: 'boolean', default: false },
    },
  })
  return {
    swaps: wholeNumber('--swaps', values.swaps, 1, 100_000),
    seconds: wholeNumber('--seconds', values.seconds, 0, 86_400),
    json: values.json,
  }
}

function wholeNumber(flag: string, text: string, min: number, max: number): number {
  const number = /^\d{1,6}$/.test(text) ? Number(text) : Number.NaN
  if (number >= min && number <= max) return number
  throw new Error(`${flag} takes a whole number from ${min} to ${max}, not '${text}'`)
}
