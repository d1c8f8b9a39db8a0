/** All generated pictures: path from the package's root → content. Equal sources give equal bytes. */
import { chartOf } from './chart.js'
import { layoutOf } from './layout.js'
import { CHARTS } from './machines.js'
import { mermaidOf } from './mermaid.js'
import { sequenceMermaidOf } from './sequence/mermaid.js'
import { pictureOf } from './sequence/picture.js'
import { SCENARIOS } from './sequence/scenarios.js'
import { storyOf } from './sequence/story.js'
import { svgOf } from './svg.js'

export const GENERATED = 'visualizations/generated/'

export async function chartFiles(): Promise<ReadonlyMap<string, string>> {
  const files = new Map<string, string>()
  for (const source of CHARTS) {
    const chart = chartOf(source)
    const title = `${source.name}: ${source.says}`
    files.set(`${GENERATED}${source.name}.svg`, svgOf(await layoutOf(chart, source), title))
    files.set(`${GENERATED}${source.name}.mmd`, mermaidOf(chart))
  }
  for (const scenario of SCENARIOS) {
    const { name, says } = scenario
    const title = `${name}: ${says}`
    const story = storyOf(scenario)
    files.set(`${GENERATED}sequence-${name}.svg`, pictureOf(story, title))
    files.set(`${GENERATED}sequence-${name}.mmd`, sequenceMermaidOf(story, title))
  }
  files.set(`${GENERATED}README.md`, index())
  return files
}

const index = (): string =>
  [
    '# Charts',
    '',
    'Made by `npm run charts` from the machines and from the explored world; a test fails when they differ. `.mmd` is the same chart as Mermaid.',
    '',
    '## Machines',
    '',
    'Blue leads forward, dashed red is what may go wrong and the way back, dotted grey is by order of a person. A dot marks where a machine, or a state',
    'with others inside, begins.',
    '',
    ...CHARTS.flatMap(({ name, says }) => entry(name, says, name)),
    '## Scenarios',
    '',
    'Each is a path of the model: the real machines, a small kernel, and the one thing that breaks. The shortest way is drawn; where a chart begins in',
    'mid-swap, what came before is as in a swap that goes well.',
    '',
    ...SCENARIOS.flatMap(({ name, says }) => entry(name, says, `sequence-${name}`)),
  ].join('\n')

const entry = (name: string, says: string, file: string): string[] => [
  `### ${name}`,
  '',
  `${capital(says)}. [Mermaid](${file}.mmd)`,
  '',
  `![${name}](${file}.svg)`,
  '',
]

const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1)
