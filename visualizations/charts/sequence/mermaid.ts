/** A story as a Mermaid sequence diagram. */
import type { Story } from './story.js'

export function sequenceMermaidOf({ lanes, rows }: Story, title: string): string {
  const id = (lane: string) => lane.replace(/\W/g, '')
  return [
    `%% ${title}`,
    'sequenceDiagram',
    ...lanes.map((lane) => `  participant ${id(lane)} as ${lane}`),
    ...rows.map(({ from, to, kind, text }) => {
      const words = `${kind === 'fault' ? '✗ ' : ''}${text}`
      return from === to ? `  Note over ${id(from)}: ${words}` : `  ${id(from)}->>${id(to)}: ${words}`
    }),
    '',
  ].join('\n')
}
