/** Files that are either the old or the new one, also after a power cut: written aside, renamed, and the directory synced. */
import {
  closeSync,
  fsyncSync,
  linkSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  unlinkSync,
  writeSync,
} from 'node:fs'
import { open, rename, unlink } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { osError } from '../errors/os.js'
import { isErrno, reasonOf } from './errno.js'
import { isAlive } from './processes.js'

let temporaries = 0

function temporaryFor(path: string): string {
  temporaries += 1
  return join(dirname(path), `.${basename(path)}.${process.pid}-${temporaries}.tmp`)
}

/** Removes what a process that was killed while it replaced this file has left beside it. */
export function sweepTemporaries(path: string): void {
  const prefix = `.${basename(path)}.`
  for (const name of namesIn(dirname(path))) {
    const pid = name.startsWith(prefix) ? /^(\d+)-\d+\.tmp$/.exec(name.slice(prefix.length))?.[1] : undefined
    if (pid === undefined || Number(pid) === process.pid || isAlive(Number(pid))) continue
    removeIfPossible(join(dirname(path), name))
  }
}

function namesIn(dir: string): string[] {
  try {
    return readdirSync(dir)
  } catch {
    return [] // whoever reads or writes the file itself tells it better
  }
}

function removeIfPossible(path: string): void {
  try {
    unlinkSync(path)
  } catch (error) {
    if (!isErrno(error)) throw error
  }
}

/** @throws ERR_HANDOFF_FILE; the old content is then untouched */
export async function replaceFile(path: string, bytes: Uint8Array, mode = 0o600): Promise<void> {
  const temporary = temporaryFor(path)
  try {
    const file = await open(temporary, 'wx', mode)
    try {
      await file.writeFile(bytes)
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(temporary, path)
    await syncDirectory(dirname(path))
  } catch (error) {
    await unlink(temporary).catch(() => {})
    throw osError('ERR_HANDOFF_FILE', ['replace', path, reasonOf(error)], error)
  }
}

/** The same without leaving this turn of the loop. */
export function replaceFileSync(
  path: string,
  bytes: Uint8Array,
  options: { mode?: number; sync?: boolean } = {},
): void {
  const temporary = temporaryFor(path)
  try {
    const fd = openSync(temporary, 'wx', options.mode ?? 0o600)
    try {
      for (let written = 0; written < bytes.length; ) written += writeSync(fd, bytes, written)
      if (options.sync !== false) fsyncSync(fd)
    } finally {
      closeSync(fd)
    }
    renameSync(temporary, path)
    if (options.sync !== false) syncDirectorySync(dirname(path))
  } catch (error) {
    try {
      unlinkSync(temporary)
    } catch {
      // It was never made, or the directory is what failed.
    }
    throw osError('ERR_HANDOFF_FILE', ['replace', path, reasonOf(error)], error)
  }
}

/** Null when there is none. @throws ERR_HANDOFF_FILE for any other reason */
export function readFileIfExists(path: string): Uint8Array | null {
  try {
    return readFileSync(path)
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return null
    throw osError('ERR_HANDOFF_FILE', ['read', path, reasonOf(error)], error)
  }
}

/** Gone for good, also after a power cut. No error when it was not there. */
export async function removeFileDurably(path: string): Promise<void> {
  try {
    await unlink(path)
    await syncDirectory(dirname(path))
  } catch (error) {
    if (!isErrno(error, 'ENOENT')) throw osError('ERR_HANDOFF_FILE', ['remove', path, reasonOf(error)], error)
  }
}

export function removeFileDurablySync(path: string): void {
  try {
    unlinkSync(path)
    syncDirectorySync(dirname(path))
  } catch (error) {
    if (!isErrno(error, 'ENOENT')) throw osError('ERR_HANDOFF_FILE', ['remove', path, reasonOf(error)], error)
  }
}

/** Moves an unreadable file out of the way, to the first free `<path>.corrupt-<n>`, and says where it is now. */
export function setAside(path: string): string {
  try {
    for (let n = 1; ; n += 1) {
      const aside = `${path}.corrupt-${n}`
      try {
        // link(2) fails where rename(2) would overwrite an earlier one.
        linkSync(path, aside)
      } catch (error) {
        if (isErrno(error, 'EEXIST')) continue
        throw error
      }
      unlinkSync(path)
      syncDirectorySync(dirname(path))
      return aside
    }
  } catch (error) {
    throw osError('ERR_HANDOFF_FILE', ['set aside', path, reasonOf(error)], error)
  }
}

async function syncDirectory(dir: string): Promise<void> {
  const handle = await open(dir, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

function syncDirectorySync(dir: string): void {
  const fd = openSync(dir, 'r')
  try {
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
}
