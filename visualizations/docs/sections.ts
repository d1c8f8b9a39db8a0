/** The parts of README.md that sources can tell better than people: the keys of handoff.toml, and every error. */
import { readdirSync } from 'node:fs'
import { UnboundEffectError } from '../../machines/effects.js'
import { FAILURES } from '../../machines/handoff/failures.js'
import { LIMITS } from '../../machines/handoff/policy.js'
import { adviceFor } from '../../src/cli/advice.js'
import type { ErrorText } from '../../src/errors/handoff-error.js'
import { defaultOf, LIMIT_KEYS, LISTENER_KEYS, PLAIN_KEYS } from '../../src/supervisor/config-keys.js'
import { placeholder } from './placeholder.js'

export interface CatalogueEntry extends ErrorText {
  readonly code: string
  /** The source that holds its text. */
  readonly from: string
}

/** Every code with its text; what only a moment can tell stands in angle brackets. */
export async function errorCatalogue(): Promise<CatalogueEntry[]> {
  const here = new URL('../../src/errors/', import.meta.url)
  const files = readdirSync(here).filter((name) => /\.(ts|js)$/.test(name) && !name.endsWith('.d.ts'))
  const entries: CatalogueEntry[] = []
  for (const file of files) {
    const exports = (await import(new URL(file, here).href)) as Record<string, unknown>
    for (const [name, table] of Object.entries(exports)) {
      if (!name.endsWith('Errors')) continue
      for (const [code, build] of Object.entries(table as Record<string, (...args: unknown[]) => ErrorText>)) {
        entries.push({ code, from: `src/errors/${file.replace(/\.js$/, '.ts')}`, ...sample(build) })
      }
    }
  }
  const known = new Set(entries.map(({ code }) => code))
  for (const [code, happened] of Object.entries(FAILURES)) {
    if (known.has(code)) continue
    const now = 'the outcome tells who serves: the successor, the incumbent, or nobody'
    entries.push({ code, from: 'machines/handoff/failures.ts', happened, now, todo: adviceFor(code) })
  }
  const unbound = new UnboundEffectError('<effect>')
  entries.push({
    code: unbound.code,
    from: 'machines/effects.ts',
    happened: `a machine asked for the effect <effect>, which nobody bound`,
    now: 'the machine stopped there',
    todo: 'provide() every action and actor of the machine before it is started',
  })
  return entries.sort((a, b) => (a.code < b.code ? -1 : 1))
}

function sample(build: (...args: unknown[]) => ErrorText): ErrorText {
  const parameters = /^[^(]*\(([^)]*)\)/.exec(build.toString())?.[1] ?? ''
  const names = parameters
    .split(',')
    .map((name) => name.replace(/=.*/s, '').trim())
    .filter((name) => name !== '')
  const { happened, now, todo } = build(...names.map(placeholder))
  return { happened: String(happened), now: String(now), todo: String(todo) }
}

/** Section name → its Markdown. */
export async function docsSections(): Promise<ReadonlyMap<string, string>> {
  return new Map([
    ['config', configTable()],
    ['errors', errorTable(await errorCatalogue())],
  ])
}

const errorTable = (entries: readonly CatalogueEntry[]): string =>
  markdown(
    ['code', 'what happened', 'what is true now', 'what to do'],
    entries.map(({ code, happened, now, todo }) => [`\`${code}\``, happened, now, todo]),
  )

function configTable(): string {
  const plain = PLAIN_KEYS.map(({ key, wanted, ...rest }) => [
    `\`${key}\``,
    'required' in rest ? 'required' : (DEFAULTS[key] ?? ''),
    '',
    `${wanted}${key === 'listeners' ? `; in each: ${LISTENER_KEYS.map((k) => `\`${k.key}\` (${k.wanted})`).join(', ')}` : ''}`,
  ])
  const limits = LIMIT_KEYS.map((entry) => {
    const { min, max, why, unit } = LIMITS[entry.limit]
    const noun = unit === 'count' ? '' : entry.scale === 1 ? ' ms' : ' s'
    return [
      `\`${entry.key}\``,
      `${defaultOf(entry)}${noun}`,
      `${min / entry.scale} to ${max / entry.scale}${noun}`,
      why,
    ]
  })
  return markdown(['key', 'default', 'bounds', 'meaning'], [...plain, ...limits])
}

const DEFAULTS: Readonly<Record<string, string>> = {
  args: '[]',
  env: '[]',
  listeners: '[]',
  journal: 'none',
  history: 'the journal’s path and `.history`',
  metrics: 'none',
  allowed_uids: '[]',
  allowed_binaries: '[]',
  cwd: 'the supervisor’s own',
}

function markdown(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell) => cell.replace(/\|/g, '\\|').replace(/</g, '&lt;')).join(' | ')} |`
  return [line(head), `|${'---|'.repeat(head.length)}`, ...rows.map(line)].join('\n')
}

/** Puts a section between its markers. @throws Error when the text has no such markers. */
export function withSection(text: string, name: string, content: string): string {
  const [begin, end] = [`<!-- ${name}: written by npm run docs -->`, `<!-- ${name}: end -->`]
  const from = text.indexOf(begin)
  const to = text.indexOf(end)
  if (from === -1 || to < from) throw new Error(`README.md needs the markers ${begin} and ${end}`)
  return `${text.slice(0, from + begin.length)}\n${content}\n${text.slice(to)}`
}
