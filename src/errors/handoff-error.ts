/** The one error class of the package. Match on `code`, never on `instanceof` across package copies. */

/** What a person needs to read: what happened, what is true now, what to do. */
export interface ErrorText {
  readonly happened: string
  readonly now: string
  readonly todo: string
}

export class HandoffError extends Error {
  override readonly name = 'HandoffError'
  readonly happened: string
  readonly now: string
  readonly todo: string

  constructor(
    readonly code: string,
    text: ErrorText,
    cause?: unknown,
  ) {
    super(`${text.happened}; ${text.now}; ${text.todo}`, cause === undefined ? undefined : { cause })
    this.happened = text.happened
    this.now = text.now
    this.todo = text.todo
  }
}

/** Binds a table to a thrower-friendly factory: `wireError('ERR_HANDOFF_PEER_…', [args], cause)`. */
export function errorFactory<T extends object>(
  table: T & { readonly [C in keyof T]: (...args: never[]) => ErrorText },
) {
  return <C extends keyof T & string>(code: C, args: BuilderArgs<T[C]>, cause?: unknown): HandoffError => {
    const build = table[code] as (...a: BuilderArgs<T[C]>) => ErrorText
    return new HandoffError(code, build(...args), cause)
  }
}

type BuilderArgs<F> = F extends (...args: infer A) => ErrorText ? A : never

/** True for our own errors, also from another copy of the package. */
export function isHandoffError(error: unknown, code?: string): error is HandoffError {
  return (
    error instanceof Error &&
    error.name === 'HandoffError' &&
    'code' in error &&
    (code === undefined || error.code === code)
  )
}
