/** Errors of logging, metrics, traces and inspection. */
import { errorFactory } from './handoff-error.js'

export const observeErrors = {
  ERR_HANDOFF_USAGE_LOG_LEVEL: (level: string, known: string) => ({
    happened: `'${level}' is no log level`,
    now: 'nothing was started',
    todo: `give one of ${known}, by --log-level or HANDOFF_LOG_LEVEL`,
  }),
}

export const observeError = errorFactory(observeErrors)
