/**
 * The program as `tsc` makes it, for tests that start processes: compiled when it is first asked for, once for each state
 * of the sources, into a directory that no other build writes to.
 */
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
} from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))
/** Below node_modules: git does not see it, and the package's dependencies resolve from there. */
const CACHE = join(ROOT, 'node_modules', '.cache', 'handoff-compiled')
const SOURCES = ['src', 'machines', 'examples', 'visualizations']
const ADDON = 'build/Release/handoff_native.node'
/** A copy that no run has used for this long goes, and a lock this old is nobody's, ms. */
const STALE_MS = 3_600_000
const LOCK_STALE_MS = 60_000

let found: string | undefined

/** A directory with `dist/` and the package.json that names its doors. Blocks while it is being made. */
export function compiledCopy(): string {
  found ??= findOrCompile()
  return found
}

/** A program of the compiled copy, e.g. `examples/kv.js`. */
export const compiledProgram = (path: string): string => join(compiledCopy(), 'dist', path)

function findOrCompile(): string {
  mkdirSync(CACHE, { recursive: true })
  const copy = join(CACHE, fingerprint())
  const lock = `${copy}.lock`
  // Two test files may begin at the same moment; the second one waits for the first one's copy.
  let isLocked = false
  while (!existsSync(copy)) {
    isLocked = tryLock(lock)
    if (isLocked) break
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 50)
  }
  try {
    // Made between our look and our lock, perhaps.
    if (!existsSync(copy)) compile(copy)
  } finally {
    if (isLocked) rmSync(lock, { recursive: true, force: true })
  }
  utimesSync(copy, new Date(), new Date())
  return copy
}

function tryLock(lock: string): boolean {
  try {
    mkdirSync(lock)
    return true
  } catch {
    const stat = statSync(lock, { throwIfNoEntry: false })
    if (stat !== undefined && Date.now() - stat.mtimeMs > LOCK_STALE_MS) rmSync(lock, { recursive: true, force: true })
    return false
  }
}

function compile(copy: string): void {
  removeStale()
  const building = mkdtempSync(join(CACHE, 'building-'))
  copyFileSync(join(ROOT, 'package.json'), join(building, 'package.json'))
  const flags = ['--outDir', join(building, 'dist'), '--declaration', 'false', '--declarationMap', 'false']
  const tsc = join(ROOT, 'node_modules', '.bin', 'tsc')
  const built = spawnSync(tsc, ['-p', join(ROOT, 'tsconfig.json'), ...flags], { encoding: 'utf8' })
  // Types are the build's business; here it matters that there is a program.
  if (!existsSync(join(building, 'dist', 'src', 'daemon', 'index.js'))) {
    throw new Error(`nothing was compiled:\n${built.stdout}${built.stderr}`)
  }
  // Its own addon, found from `dist` upwards by the file beside it: a rebuild elsewhere takes the other one away meanwhile.
  copyFileSync(join(ROOT, 'binding.gyp'), join(building, 'binding.gyp'))
  mkdirSync(join(building, 'build', 'Release'), { recursive: true })
  copyFileSync(join(ROOT, ADDON), join(building, ADDON))
  const bundled = spawnSync(process.execPath, [join(building, 'dist', 'src', 'cli', 'bundle', 'write.js')], {
    encoding: 'utf8',
  })
  if (bundled.status !== 0) throw new Error(`the commands were not bundled:\n${bundled.stderr}`)
  try {
    renameSync(building, copy)
  } catch (error) {
    // A lock that looked stale was not: somebody on a busy machine has made the same meanwhile.
    rmSync(building, { recursive: true, force: true })
    if (!existsSync(copy)) throw error
  }
}

function fingerprint(): string {
  const hash = createHash('sha256')
  for (const path of ['package.json', 'tsconfig.json', ADDON, ...SOURCES.flatMap(filesIn)]) {
    hash.update(`${path}\0`).update(readFileSync(join(ROOT, path)))
  }
  return hash.digest('hex').slice(0, 16)
}

function filesIn(folder: string): string[] {
  if (!existsSync(join(ROOT, folder))) return []
  return readdirSync(join(ROOT, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
    .map((entry) => join(entry.parentPath, entry.name).slice(ROOT.length))
    .sort()
}

function removeStale(): void {
  for (const name of readdirSync(CACHE)) {
    const path = join(CACHE, name)
    const stat = statSync(path, { throwIfNoEntry: false })
    if (stat !== undefined && Date.now() - stat.mtimeMs > STALE_MS) rmSync(path, { recursive: true, force: true })
  }
}
