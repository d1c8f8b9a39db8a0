/** Errno exceptions: the shape that Node and the addon share. */

export interface ErrnoException extends Error {
  readonly code: string
  readonly errno: number
  readonly syscall: string
}

/** Without codes: is it an errno exception at all? With codes: is it one of these? */
export function isErrno(error: unknown, ...codes: string[]): error is ErrnoException {
  if (!(error instanceof Error) || !('code' in error) || typeof error.code !== 'string') return false
  if (codes.length > 0) return codes.includes(error.code)
  return 'errno' in error
}

/** Runs a call again for as long as a signal interrupts it. */
export function uninterrupted<T>(call: () => T): T {
  for (;;) {
    try {
      return call()
    } catch (error) {
      if (!isErrno(error, 'EINTR')) throw error
    }
  }
}

/** One line for a message; the exception itself travels as `cause`. */
export function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
