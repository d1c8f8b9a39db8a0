/** `handoff check --mutants`: each decision of the machines taken away, one at a time, and who notices. */
import { MUTATED_ROLES, type MutatedRole, mutateRole } from '../../machines/handoff/mutation.js'
import { cliError } from '../errors/cli.js'
import { EXIT_CODES } from './exit-codes.js'
import { duration, table } from './format.js'
import type { Io } from './io.js'

interface MutateFlags {
  readonly role?: string | undefined
  readonly only?: string | undefined
}

function rolesOf(role: string | undefined): readonly MutatedRole[] {
  if (role === undefined) return MUTATED_ROLES
  const known = MUTATED_ROLES.find((name) => name === role)
  if (known === undefined)
    throw cliError('ERR_HANDOFF_USAGE_FLAG', [
      `--role takes one of ${MUTATED_ROLES.join(', ')}, not '${role}'`,
      'see --help',
    ])
  return [known]
}

export function checkMutants(io: Io, json: boolean, { role: chosen, only }: MutateFlags): number {
  let holds = true
  for (const role of rolesOf(chosen)) {
    const startedAt = performance.now()
    const result = mutateRole(role, {
      ...(only === undefined ? {} : { only }),
      onProgress: (at, of) => {
        if (at % 50 === 0) io.err(`${role}: ${at} of ${of}\n`)
      },
    })
    const { killed, survived, same, equivalent, stale, score } = result
    holds &&= survived.length === 0 && stale.length === 0
    if (json) {
      io.out(`${JSON.stringify({ role, ...result })}\n`)
      continue
    }
    const total = killed.length + survived.length + same.length + equivalent.length
    const places = [...new Set(killed.map(({ in: where }) => where))]
    const split = places
      .map((where) => `${killed.filter((one) => one.in === where).length} by ${TRIALS[where] ?? where}`)
      .join(', ')
    io.out(
      `${table([
        [role, `${total} mutants`, `score ${(score * 100).toFixed(1)} %`, duration(performance.now() - startedAt)],
        ['  noticed', `${killed.length}`, split],
        ['  the same', `${same.length}`, 'no sequence of events tells them from the original'],
        ['  equivalent', `${equivalent.length}`, 'by a reason that was given'],
        ['  unnoticed', `${survived.length}`],
      ])}\n`,
    )
    for (const { id, reason } of equivalent) io.out(`  equivalent  ${id}: ${reason}\n`)
    for (const { id, complete } of survived)
      io.out(`  unnoticed   ${id}${complete ? '' : ' (not explored completely)'}\n`)
    for (const id of stale) io.out(`  stale       ${id}\n`)
  }
  return holds ? EXIT_CODES.ok : EXIT_CODES.failed
}

const TRIALS: Readonly<Record<string, string>> = {
  contract: 'the contract of the role',
  world: 'the guarantees of the composed world',
  construction: 'XState: no machine any more',
}
