/** The source tree as text: which files there are, and who imports whom. */
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { fileURLToPath } from 'node:url'

export const ROOT = fileURLToPath(new URL('../../', import.meta.url))

/** Folders that hold what people wrote. */
const FOLDERS = ['machines', 'src', 'native', 'examples', 'visualizations', 'test', '.ci'] as const
const NOT_WRITTEN = /(^|\/)(golden|generated|node_modules)(\/|$)/

/** Paths from the root, with '/'. */
export function filesIn(folder: string): string[] {
  let entries: string[]
  try {
    entries = readdirSync(join(ROOT, folder), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name).slice(ROOT.length))
  } catch {
    return [] // a folder that has nothing yet
  }
  return entries.filter((path) => !NOT_WRITTEN.test(path)).sort()
}

export const allFiles = (): string[] => FOLDERS.flatMap(filesIn)

export const read = (path: string): string => readFileSync(join(ROOT, path), 'utf8')

/** The program without its comments, so that a word in a sentence is no violation. */
export const code = (path: string): string =>
  read(path)
    .replace(/\/\*[\s\S]*?\*\//g, (comment) => comment.replace(/[^\n]/g, ' '))
    .replace(/(^|[^:'"`])\/\/.*$/gm, '$1')

export interface Import {
  readonly from: string
  /** As written. */
  readonly specifier: string
  /** The file it leads to, from the root; null for a package. */
  readonly file: string | null
}

const IMPORT = /(?:\bfrom\s+|\bimport\s+|\bimport\(\s*)(['"])([^'"]+)\1/g

export function importsOf(path: string): Import[] {
  return [...code(path).matchAll(IMPORT)].map(([, , specifier = '']) => ({
    from: path,
    specifier,
    file: specifier.startsWith('.') ? normalize(join(dirname(path), specifier)).replace(/\.js$/, '.ts') : null,
  }))
}

/** `pino`, `@xstate/graph`; of `xstate/graph` the first part. */
export const packageOf = (specifier: string): string =>
  specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/')
