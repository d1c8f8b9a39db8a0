/**
 * Finds the program to run, anew at every start, so that a link that was moved (`releases/current`) is followed as it
 * points now. The *directory* is pinned to the release it leads to, the last name is kept: a lazy import after the next
 * deploy still finds the files this process started from, and programs that look at their own name (a virtualenv's
 * python, busybox) see it.
 */
import { accessSync, closeSync, constants, openSync, readSync, realpathSync, statSync } from 'node:fs'
import { basename, delimiter, dirname, join } from 'node:path'
import { configError } from '../errors/config.js'

export interface ResolvedBinary {
  /** What to execute. */
  readonly exec: string
  /** The file behind every link: two names are the same program when these are equal. */
  readonly real: string
}

/**
 * @param binary an absolute path, or a name without '/' that is looked up in `path`.
 * @param path the search path. Default: the supervisor's own.
 * @throws HandoffError ERR_HANDOFF_USAGE_BINARY
 */
export function resolveBinary(binary: string, path = process.env.PATH ?? ''): ResolvedBinary {
  const found = binary.includes('/') ? binary : search(binary, path)
  const real = followLinks(binary, found)
  if (!statSync(real).isFile()) throw refuse(binary, `${real} is not a regular file`, 'name the program itself')
  if (!isExecutable(real)) {
    throw refuse(binary, `${real} is not executable for this user`, `run chmod +x ${real}, or name its interpreter`)
  }
  const interpreter = shebang(real)
  if (interpreter !== null && !isExecutable(interpreter)) {
    throw refuse(binary, `its first line names the interpreter ${interpreter}, which is not there`, 'correct that line')
  }
  return { exec: join(realpathSync(dirname(found)), basename(found)), real }
}

/** Like {@link resolveBinary}, for a comparison: null when the file is not there (any more). */
export function realBinary(binary: string): string | null {
  try {
    return resolveBinary(binary).real
  } catch {
    return null
  }
}

function search(name: string, path: string): string {
  for (const directory of path.split(delimiter)) {
    const candidate = join(directory === '' ? '.' : directory, name)
    if (isExecutable(candidate) && statSync(candidate).isFile()) return candidate
  }
  throw refuse(
    name,
    'no directory of PATH holds it',
    'give its path, or start the supervisor with a PATH that finds it',
  )
}

function followLinks(binary: string, found: string): string {
  try {
    return realpathSync(found)
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code
    const problem = code === 'ENOENT' ? 'there is no such file' : `it cannot be reached (${code})`
    throw refuse(binary, problem, 'correct the path, or put the file there', error)
  }
}

/** The interpreter a script names, or null for anything else. Without this check the kernel's ENOENT blames the script. */
function shebang(file: string): string | null {
  const head = Buffer.alloc(256)
  let fd: number
  try {
    fd = openSync(file, 'r')
  } catch {
    return null // executable but not readable is legal
  }
  try {
    const text = head.toString('latin1', 0, readSync(fd, head))
    return /^#![ \t]*([^ \t\n]+)/.exec(text)?.[1] ?? null
  } finally {
    closeSync(fd)
  }
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK)
    return true
  } catch {
    return false
  }
}

const refuse = (binary: string, problem: string, todo: string, cause?: unknown) =>
  configError('ERR_HANDOFF_USAGE_BINARY', [binary, problem, todo], cause)
