/** All generated pictures: path from the package's root → content. Equal sources give equal bytes. */
import { chartOf } from './chart.js'
import { layoutOf } from './layout.js'
import { CHARTS } from './machines.js'
import { mermaidOf } from './mermaid.js'
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
  files.set(`${GENERATED}README.md`, index())
  return files
}

const index = (): string =>
  [
    '# Charts',
    '',
    'Drawn from the machines by `npm run charts`; a test fails when they differ. Blue leads forward, dashed red is what may go wrong and the way back,',
    'dotted grey is by order of a person. A dot marks where a machine, or a state with others inside, begins. `.mmd` is the same chart as Mermaid.',
    '',
    ...CHARTS.flatMap(({ name, says }) => [
      `## ${name}`,
      '',
      `${capital(says)}. [Mermaid](${name}.mmd)`,
      '',
      `![${name}](${name}.svg)`,
      '',
    ]),
  ].join('\n')

const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1)
