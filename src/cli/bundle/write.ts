/**
 * The commands as single CommonJS files, for `bin`. A supervisor sleeps for months beside the program that it guards, and what
 * loads it counts for more than what it does: a hundred modules, the ES module loader and the parser that finds the exports of
 * CommonJS packages cost more memory than the machines. Run by `npm run build`.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build, type Metafile, type Plugin } from 'esbuild'

const here = dirname(fileURLToPath(import.meta.url))
const cli = join(here, '..')

/** What is loaded late, and yet by every supervisor. All else that is loaded late stays where it is, beside the bundles. */
const INLINED = ['./supervise.js', '../supervisor/create-supervisor.js']

const lateModules: Plugin = {
  name: 'late modules stay modules',
  setup({ onResolve }) {
    onResolve({ filter: /^\./ }, ({ kind, path, resolveDir }) =>
      kind !== 'dynamic-import' || INLINED.includes(path)
        ? undefined
        : { path: relative(here, join(resolveDir, path)), external: true },
    )
  },
}

/** We log to a descriptor, synchronously; pino's threads, and what they bring along, are for those who do not. */
const noTransports: Plugin = {
  name: 'pino without transports',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^\.\/(lib\/)?transport$/ }, ({ importer }) =>
      importer.includes(`${join('node_modules', 'pino')}`) ? { path: 'transport', namespace: 'left-out' } : undefined,
    )
    // Asked only of a destination that is not synchronous.
    onResolve({ filter: /^worker_threads$/ }, ({ importer }) =>
      importer.includes(`${join('node_modules', 'pino')}`) ? { path: 'threads', namespace: 'left-out' } : undefined,
    )
    onLoad({ filter: /^transport$/, namespace: 'left-out' }, () => ({
      contents: "module.exports = () => { throw new Error('the command line has no log transports') }",
    }))
    onLoad({ filter: /^threads$/, namespace: 'left-out' }, () => ({ contents: 'exports.isMainThread = true' }))
  },
}

const { metafile } = await build({
  entryPoints: ['handoff', 'handoff-supervisor'].map((name) => join(cli, `${name}.js`)),
  outdir: here,
  outExtension: { '.js': '.cjs' },
  bundle: true,
  minify: true,
  platform: 'node',
  format: 'cjs',
  target: 'node20',
  external: ['node-unix-socket', '@opentelemetry/api'],
  plugins: [lateModules, noTransports],
  banner: { js: "const importMetaUrl = require('node:url').pathToFileURL(__filename).href;" },
  define: { 'import.meta.url': 'importMetaUrl' },
  legalComments: 'none',
  metafile: true,
  logLevel: 'warning',
})
writeFileSync(join(here, 'LICENSES.txt'), licences(metafile))

/** Of the packages whose code is in the bundles: their licences ask for it. */
function licences({ inputs }: Metafile): string {
  const folders = new Set(
    Object.keys(inputs).flatMap((path) => /^.*node_modules\/(?:@[^/]+\/)?[^/.][^/]*/.exec(path) ?? []),
  )
  return [...folders].sort().map(licenceOf).join('\n\n')
}

function licenceOf(folder: string): string {
  const { name, version, license } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as {
    readonly [key: string]: string
  }
  const file = ['LICENSE', 'LICENSE.md', 'LICENSE.txt', 'license'].map((name) => join(folder, name)).find(existsSync)
  return `${name} ${version}\n\n${file === undefined ? license : readFileSync(file, 'utf8').trim()}\n`
}
