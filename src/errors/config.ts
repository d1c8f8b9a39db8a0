/** Errors of handoff.toml and of the binary it names. `where` is `file:line` as far as the line is known. */
import { errorFactory } from './handoff-error.js'

const NOT_STARTED = 'nothing was started'

export const configErrors = {
  ERR_HANDOFF_USAGE_CONFIG_UNREADABLE: (file: string, why: string) => ({
    happened: `the config file ${file} could not be read (${why})`,
    now: NOT_STARTED,
    todo: 'give the path of a readable file with --config',
  }),
  ERR_HANDOFF_USAGE_CONFIG_SYNTAX: (where: string, why: string) => ({
    happened: `${where}: not valid TOML: ${why}`,
    now: NOT_STARTED,
    todo: 'correct that line',
  }),
  ERR_HANDOFF_USAGE_CONFIG_UNKNOWN_KEY: (where: string, key: string, hint: string) => ({
    happened: `${where}: unknown key '${key}'`,
    now: NOT_STARTED,
    todo: hint,
  }),
  ERR_HANDOFF_USAGE_CONFIG_MISSING_KEY: (where: string, key: string, meaning: string) => ({
    happened: `${where}: the key '${key}' is required`,
    now: NOT_STARTED,
    todo: `add ${key} (${meaning})`,
  }),
  ERR_HANDOFF_USAGE_CONFIG_VALUE: (where: string, key: string, problem: string, wanted: string) => ({
    happened: `${where}: bad value for '${key}': ${problem}`,
    now: NOT_STARTED,
    todo: `give ${wanted}`,
  }),
  ERR_HANDOFF_USAGE_CONFIG_DIRECTORY: (file: string, directory: string, why: string) => ({
    happened: `${file} puts a socket or the journal into ${directory}, which could not be made (${why})`,
    now: NOT_STARTED,
    todo: 'make it for the user of the supervisor, or name another place',
  }),
  ERR_HANDOFF_USAGE_BINARY: (binary: string, problem: string, todo: string) => ({
    happened: `the binary '${binary}' cannot be run: ${problem}`,
    now: 'nothing was started and whoever serves keeps serving',
    todo,
  }),
}

export const configError = errorFactory(configErrors)
