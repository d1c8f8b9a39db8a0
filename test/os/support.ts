/** Shared by the OS tests: own directories, sockets that end with the test, and a count of what was left open. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, expect } from 'vitest'
import { openFds } from '../../src/os/fds.js'

/** A directory of its own for each test, removed afterwards. */
export function useTempDir(): { readonly path: string } {
  const holder = { path: '' }
  beforeEach(() => {
    holder.path = mkdtempSync(join(tmpdir(), 'handoff-os-'))
  })
  afterEach(() => rmSync(holder.path, { recursive: true, force: true }))
  return holder
}

/** Sockets, pipes and lock files of this process; the rest belongs to the runtime. */
export function ownFds(): string[] {
  return [...openFds()]
    .filter(([, target]) => /^(socket|pipe):|handoff|pidfd/.test(target))
    .map(([fd, target]) => `${fd} ${target}`)
}

/** Fails a test that leaves a descriptor open. */
export function checkLeaks(): void {
  let before: string[] = []
  beforeEach(() => {
    before = ownFds()
  })
  afterEach(() => {
    expect(ownFds()).toEqual(before)
  })
}

export const fixture = (name: string): string => fileURLToPath(new URL(`../fixtures/os/${name}`, import.meta.url))

/** Runs a call without root's power to pass every permission check. */
export function unprivileged<T>(call: () => T): T {
  const isRoot = process.geteuid?.() === 0
  if (isRoot) process.seteuid?.(65_534)
  try {
    return call()
  } finally {
    if (isRoot) process.seteuid?.(0)
  }
}

/** Lets the event loop turn until something is true. The test's own timeout is the only clock. */
export async function until(isTrue: () => boolean): Promise<void> {
  while (!isTrue()) await new Promise((resolve) => setImmediate(resolve))
}

/** The code of what a call throws; fails when it throws nothing. */
export function codeOf(call: () => unknown): string {
  try {
    call()
  } catch (error) {
    return (error as { code: string }).code
  }
  throw new Error('nothing was thrown')
}
