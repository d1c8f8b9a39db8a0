/** The habits of the house, held by a machine. A failure names the file and what to do about it. */
import { builtinModules } from 'node:module'
import { describe, expect, test } from 'vitest'
import { docsSections, errorCatalogue, withSection } from '../visualizations/docs/sections.js'
import { allFiles, code, filesIn, type Import, importsOf, packageOf, ROOT, read } from './tidy/sources.js'

const ts = (path: string) => path.endsWith('.ts')
const pkg = JSON.parse(read('package.json')) as {
  dependencies: Record<string, string>
  devDependencies: Record<string, string>
  peerDependencies?: Record<string, string>
  scripts: Record<string, string>
  bin: Record<string, string>
  exports: Record<string, { default: string }>
}

describe('layers: machines decide, src does, native touches the kernel', () => {
  const imports = (folder: string): Import[] => filesIn(folder).filter(ts).flatMap(importsOf)
  const show = ({ from, specifier }: Import) => `${from} imports ${specifier}`
  const builtins = new Set(builtinModules)

  test('machines import xstate, its graph package and each other, nothing else', () => {
    const wrong = imports('machines').filter(({ specifier, file }) =>
      file === null ? !['xstate', '@xstate/graph'].includes(packageOf(specifier)) : !file.startsWith('machines/'),
    )
    expect(wrong.map(show)).toEqual([])
  })

  test('machines know no clock, no chance, no environment and no console', () => {
    const ambient =
      /\b(Date\s*\(|Date\.now|Math\.random|performance\.|process\.(env|pid|argv|exit|on|nextTick|hrtime)|setTimeout|setInterval|setImmediate|queueMicrotask|console\.|crypto\.|globalThis)/
    const wrong = filesIn('machines')
      .filter(ts)
      .flatMap((path) =>
        code(path)
          .split('\n')
          .flatMap((line, index) =>
            ambient.test(line.replace(/'[^']*'/g, "''")) ? [`${path}:${index + 1} ${line.trim()}`] : [],
          ),
      )
    expect(wrong).toEqual([])
  })

  test('src imports src and machines, never what is built on it', () => {
    const wrong = imports('src').filter(({ file }) => file !== null && !/^(src|machines)\//.test(file))
    expect(wrong.map(show)).toEqual([])
  })

  test('examples import neither tests nor pictures', () => {
    const wrong = imports('examples').filter(({ file }) => file !== null && !/^(examples|src|machines)\//.test(file))
    expect(wrong.map(show)).toEqual([])
  })

  test('native includes its own headers and the system’s, and nothing of ours above it', () => {
    const wrong = filesIn('native')
      .filter((path) => /\.(c|h)$/.test(path))
      .flatMap((path) => [...read(path).matchAll(/#include\s+"([^"]+)"/g)].map(([, header]) => `${path}: ${header}`))
      .filter((found) => found.includes('/', found.indexOf(': ')))
    expect(wrong).toEqual([])
  })

  test('what a user installs suffices for machines and src', () => {
    const installed = { ...pkg.dependencies, ...pkg.peerDependencies }
    // Runs once, where the package is made.
    const builders = new Set(['src/cli/bundle/write.ts'])
    const wrong = [...imports('machines'), ...imports('src')].filter(
      ({ from, specifier, file }) =>
        !builders.has(from) &&
        file === null &&
        !specifier.startsWith('node:') &&
        !builtins.has(specifier) &&
        !(packageOf(specifier) in installed),
    )
    expect(wrong.map(show)).toEqual([])
  })

  test('every import leads to a file', () => {
    const known = new Set(allFiles())
    const folders = ['machines', 'src', 'examples', 'visualizations', 'test']
    const wrong = folders
      .flatMap(imports)
      .filter(({ file }) => file !== null && !known.has(file) && file !== 'package.json')
    expect(wrong.map(show)).toEqual([])
  })
})

describe('machines are data plus names', async () => {
  const modules = await Promise.all(
    filesIn('machines')
      .filter((path) => path.endsWith('.machine.ts'))
      .map(async (path) => ({ path, exports: (await import(`${ROOT}${path}`)) as Record<string, unknown> })),
  )
  const machines = modules.flatMap(({ path, exports }) =>
    Object.values(exports).flatMap((value) => (isMachine(value) ? [{ path, config: value.config }] : [])),
  )

  test('there are machines to look at, and the checks below see what they look for', () => {
    expect(machines.length).toBeGreaterThanOrEqual(4)
    const bad = {
      states: { a: { after: { 5000: 'b' }, entry: [() => {}, { type: 'named' }], invoke: { src: () => {} } } },
    }
    expect(keysUnder(bad, 'after')).toEqual(['5000'])
    expect(inlineWork(bad)).toEqual(['states.a.entry', 'states.a.invoke'])
    expect(inlineWork({ entry: Object.assign(() => {}, { type: 'xstate.raise' }), invoke: { src: 'name' } })).toEqual(
      [],
    )
  })

  test('a delay has a name: tuning a number must not rename an event', () => {
    const wrong = machines.flatMap(({ path, config }) =>
      keysUnder(config, 'after')
        .filter((delay) => /^\d+$/.test(delay))
        .map((delay) => `${path}: after ${delay}`),
    )
    expect(wrong).toEqual([])
  })

  test('an action is a name or a pure built-in, an actor is a name: nothing inline touches the world', () => {
    const wrong = machines.flatMap(({ path, config }) => inlineWork(config).map((where) => `${path}: ${where}`))
    expect(wrong).toEqual([])
  })
})

describe('text', () => {
  const written = allFiles().filter((path) => /\.(ts|mjs|js|c|h|sh|toml|html|css)$|^\.ci\//.test(path))

  test.each([
    [
      'work left for later',
      new RegExp(`\\b(${['FIX', 'TO', 'XX'].map((w, i) => w + ['ME', 'DO', 'X'][i]).join('|')})\\b`),
    ],
    ['an escape from the types', new RegExp(`\\bas an${'y'}\\b|@ts-ignor${'e'}|@ts-nochec${'k'}`)],
    ['a test that is alone or left out', new RegExp(`\\.(onl${'y'}|ski${'p'}|tod${'o'})\\(`)],
    ['a debugger', new RegExp(`^\\s*debugge${'r'}\\b`, 'm')],
  ])('%s is nowhere', (_what, pattern) => {
    expect(written.filter((path) => pattern.test(read(path)))).toEqual([])
  })

  test('a file holds one idea and can be read in one sitting', () => {
    // A machine is one piece whatever its length; a table of cases is read by searching.
    const limit = (path: string) =>
      /\.machine\.ts$/.test(path) ? 800 : /^(test|machines|native)\//.test(path) ? 700 : 400
    const long = written
      .map((path) => ({ path, lines: read(path).split('\n').length }))
      .filter(({ path, lines }) => lines > limit(path))
    expect(long).toEqual([])
  })

  test('the lock file names no registry', () => {
    expect(read('package-lock.json')).not.toContain('"resolved"')
  })
})

describe('nothing lies around', () => {
  const files = [
    ...filesIn('machines'),
    ...filesIn('src'),
    ...filesIn('examples'),
    ...filesIn('visualizations'),
  ].filter(ts)
  const imported = new Set([...files, ...filesIn('test').filter(ts)].flatMap(importsOf).map(({ file }) => file))
  const entries = [
    // The page's bundle begins here.
    'visualizations/page/browser/main.js',
    // Each command's bundle begins at the source of its name.
    ...Object.values(pkg.bin).map((path) => path.replace('/bundle/', '/').replace(/\.cjs$/, '.js')),
    ...Object.values(pkg.exports).map(({ default: path }) => path),
    ...[
      ...Object.values(pkg.scripts)
        .join(' ')
        .matchAll(/dist\/\S+\.js/g),
    ].map(([path]) => path),
  ].map((path) => path.replace(/^(\.\/)?dist\//, '').replace(/\.js$/, '.ts'))
  /** Programs that tests, examples or the README start by their path. */
  const texts = [...filesIn('test'), ...filesIn('examples'), 'README.md'].map(read).join('\n')
  const isStarted = (path: string) =>
    path.startsWith('examples/') && texts.includes(`/${path.split('/').at(-1)?.replace(/\.ts$/, '')}.`)

  test('every source is imported, or is an entry point', () => {
    expect(files.filter((path) => !imported.has(path) && !entries.includes(path) && !isStarted(path))).toEqual([])
  })

  test('every entry point of package.json has its source', () => {
    expect(entries.filter((path) => !files.includes(path))).toEqual([])
  })

  test('every C file is built', () => {
    const gyp = read('binding.gyp')
    expect(filesIn('native').filter((path) => path.endsWith('.c') && !gyp.includes(path))).toEqual([])
  })

  test('every fixture is used', () => {
    const wrong = filesIn('test/fixtures').filter((path) => {
      const name =
        path
          .split('/')
          .at(-1)
          ?.replace(/\.(ts|mjs|js|py|sh|pem)$/, '') ?? ''
      return !filesIn('test').some((other) => other !== path && read(other).includes(name))
    })
    expect(wrong).toEqual([])
  })
})

describe('errors', async () => {
  const catalogue = await errorCatalogue()
  const known = new Set(catalogue.map(({ code: name }) => name))
  const sources = ['machines', 'src', 'examples', 'native']
    .flatMap(filesIn)
    .filter((path) => /\.(ts|c|h|mjs)$/.test(path))
  const named = (path: string) => [...read(path).matchAll(/\bERR_HANDOFF_[A-Z0-9_]*[A-Z0-9]\b/g)].map(([name]) => name)

  test('every code that is used says what happened, what is true now and what to do', () => {
    const unknown = sources.flatMap((path) =>
      named(path)
        .filter((name) => !known.has(name))
        .map((name) => `${path}: ${name}`),
    )
    // A family is named by its beginning, as in `ERR_HANDOFF_USAGE_CONFIG_…`.
    const isFamily = (found: string) => [...known].some((name) => name.startsWith(`${found.split(': ')[1]}_`))
    expect(unknown.filter((found) => !isFamily(found))).toEqual([])
    for (const entry of catalogue) {
      for (const text of [entry.happened, entry.now, entry.todo]) {
        expect(text, entry.code).toMatch(/\S/)
        expect(text, entry.code).not.toMatch(/undefined|NaN|\[object/)
      }
    }
  })

  test('every code of a table is thrown somewhere', () => {
    const uses = sources
      .filter((path) => !path.startsWith('src/errors/'))
      .map(read)
      .join('\n')
    const own = catalogue.filter(({ from }) => from.startsWith('src/errors/'))
    const thrownBy = (name: string, from: string) => uses.includes(name) || read(from).split(name).length > 2
    expect(own.filter(({ code: name, from }) => !thrownBy(name, from)).map(({ code: name }) => name)).toEqual([])
  })
})

describe('README', async () => {
  const sections = await docsSections()

  test.each([...sections.keys()])('its section "%s" is what the sources say; npm run docs rewrites it', (name) => {
    const readme = read('README.md')
    expect(withSection(readme, name, sections.get(name) as string)).toBe(readme)
  })
})

type Config = Readonly<Record<string, unknown>>

function isMachine(value: unknown): value is { config: Config } {
  return typeof value === 'object' && value !== null && 'config' in value && 'implementations' in value
}

/** Every object in the config, with its path. */
function walk(value: unknown, path: string, visit: (node: Config, path: string) => void): void {
  if (Array.isArray(value)) for (const [i, item] of value.entries()) walk(item, `${path}[${i}]`, visit)
  else if (typeof value === 'object' && value !== null) {
    visit(value as Config, path)
    for (const [key, item] of Object.entries(value)) walk(item, path === '' ? key : `${path}.${key}`, visit)
  }
}

function keysUnder(config: Config, name: string): string[] {
  const found: string[] = []
  walk(config, '', (node) => {
    if (typeof node[name] === 'object' && node[name] !== null) found.push(...Object.keys(node[name]))
  })
  return found
}

/** Actions that are plain functions, and invoked logic that is not a name. `assign`, `raise` and their like carry a type. */
function inlineWork(config: Config): string[] {
  const found: string[] = []
  walk(config, '', (node, path) => {
    for (const key of ['entry', 'exit', 'actions']) {
      for (const action of [node[key]].flat()) {
        const isBuiltin =
          typeof action === 'function' && String((action as { type?: unknown }).type).startsWith('xstate.')
        if (typeof action === 'function' && !isBuiltin) found.push(`${path}.${key}`)
      }
    }
    for (const invoke of [node.invoke].flat()) {
      const src = (invoke as { src?: unknown } | undefined)?.src
      if (src !== undefined && typeof src !== 'string') found.push(`${path}.invoke`)
    }
  })
  return found
}
