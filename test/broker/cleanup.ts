/** What a test has opened ends with it, last opened first. */
import { afterEach } from 'vitest'

const cleanups: (() => unknown)[] = []

export function later(cleanup: () => unknown): void {
  cleanups.push(cleanup)
}

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})
