/** The version of the library that runs the machines: a trace is only as good as the semantics it was made with. */
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'

let known: string | undefined

export function xstateVersion(): string {
  known ??= JSON.parse(readFileSync(createRequire(import.meta.url).resolve('xstate/package.json'), 'utf8')).version
  return known as string
}
