/** Errors of logging, metrics, traces and inspection. */
import { errorFactory } from './handoff-error.js'

export const observeErrors = {
  ERR_HANDOFF_USAGE_LOG_LEVEL: (level: string, known: string) => ({
    happened: `'${level}' is no log level`,
    now: 'nothing was started',
    todo: `give one of ${known}, by --log-level or HANDOFF_LOG_LEVEL`,
  }),
  ERR_HANDOFF_STATE_INSPECTOR_RUNNING: (path: string) => ({
    happened: `an inspector already answers on ${path}`,
    now: 'that one goes on and nothing was started',
    todo: 'use the page it has printed, or end it first',
  }),
  ERR_HANDOFF_INSPECT_LISTEN: (address: string, why: string) => ({
    happened: `could not listen on ${address} (${why})`,
    now: 'nothing was started',
    todo: 'give another address; port 0 takes any that is free',
  }),
  ERR_HANDOFF_USAGE_METRICS_ADDRESS: (address: string) => ({
    happened: `metrics are not served on '${address}': it can be reached from elsewhere`,
    now: 'nothing was started',
    todo: "give '127.0.0.1:9464', '[::1]:9464' or 'unix:/path', and a proxy of your own before it",
  }),
  ERR_HANDOFF_USAGE_INSPECT: (address: string) => ({
    happened: `'${address}' is no address of an inspector`,
    now: 'nothing was started',
    todo: "give true, 'ws://127.0.0.1:<port>/produce?token=…' or 'unix:/path'",
  }),
}

export const observeError = errorFactory(observeErrors)
