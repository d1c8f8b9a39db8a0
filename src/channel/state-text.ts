import type { StateValue } from 'xstate'

/** `serving.alone` of nested state values; regions joined by `|`. */
export function stateText(value: StateValue): string {
  if (typeof value === 'string') return value
  return Object.entries(value)
    .map(([name, inner]) => (inner === undefined ? name : `${name}.${stateText(inner)}`))
    .join('|')
}
