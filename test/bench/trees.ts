/** The trees under test: the working tree as it is now and, with `--against`, a commit beside it. */
import { spawnSync } from 'node:child_process'
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { compiledCopy } from '../process/compiled.js'

export const ROOT = fileURLToPath(new URL('../../', import.meta.url))

export interface Trees {
  readonly ours: string
  readonly before: string | null
}

/** @param against a commit; compiled once, below node_modules, where the package's dependencies resolve from */
export function treesOf(against: string | null): Trees {
  return { ours: compiledCopy(), before: against === null ? null : compiledCommit(against) }
}

export const git = (...args: string[]): string =>
  spawnSync('git', args, { cwd: ROOT, encoding: 'utf8' }).stdout?.trim() ?? ''

function compiledCommit(ref: string): string {
  const commit = git('rev-parse', '--short', `${ref}^{commit}`)
  if (commit === '') throw new Error(`no such commit: ${ref}`)
  const cache = join(ROOT, 'node_modules', '.cache', 'handoff-compiled')
  const copy = join(cache, `commit-${commit}`)
  if (existsSync(join(copy, 'dist'))) return copy
  mkdirSync(cache, { recursive: true })
  const building = mkdtempSync(join(cache, 'building-'))
  const archive = spawnSync('git', ['archive', commit], { cwd: ROOT, maxBuffer: 1 << 28 })
  spawnSync('tar', ['-x', '-C', building], { input: archive.stdout })
  const tsc = join(ROOT, 'node_modules', '.bin', 'tsc')
  spawnSync(tsc, ['-p', building, '--declaration', 'false', '--declarationMap', 'false'])
  if (!existsSync(join(building, 'dist'))) throw new Error(`${commit} was not compiled`)
  // The addon of this machine serves both trees.
  const addon = join(ROOT, 'build')
  if (existsSync(addon)) symlinkSync(addon, join(building, 'build'))
  copyFileSync(join(ROOT, 'package.json'), join(building, 'package.json'))
  rmSync(copy, { recursive: true, force: true })
  renameSync(building, copy)
  return copy
}
