import type { Step, World } from '../../../machines/explore/index.js'

export interface Light {
  readonly at: string
}

/** A world from a table, one `from label[/kind] to` per line, beginning in the first line's `from`. */
export function table(lines: string): World<Light> {
  const rows = lines
    .trim()
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
  return {
    initial: () => ({ at: rows[0]?.[0] ?? '' }),
    steps: ({ at }) =>
      rows
        .filter(([from]) => from === at)
        .map(([, label = '', to = '']): Step<Light> => {
          const [name = '', kind = 'progress'] = label.split('/')
          return { label: name, kind: kind as Step<Light>['kind'], next: { at: to } }
        }),
    key: ({ at }) => at,
  }
}
