/**
 * Golden transcripts: event, then state, then effects. `UPDATE_GOLDEN=1 npx vitest run test/machines/handoff` writes them
 * anew; commit only a difference you can explain.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect } from 'vitest'
import type { AnyStateMachine, EventFromLogic, InputFrom } from 'xstate'
import { createMachineStepper, type Effect, type SystemEvent } from '../../../machines/explore/index.js'
import { DEFAULT_POLICY, type LimitName, type Policy } from '../../../machines/handoff/policy.js'

const DIR = fileURLToPath(new URL('../../golden/transcripts/', import.meta.url))

export type Told<M extends AnyStateMachine> = EventFromLogic<M> | SystemEvent

/** Plays the events into a fresh machine. @throws when a step is not handled: a transcript shows what happens. */
export function transcript<M extends AnyStateMachine>(
  machine: M,
  input: InputFrom<M>,
  events: readonly Told<M>[],
): string {
  const stepper = createMachineStepper(machine)
  const start = stepper.start as (input: InputFrom<M>) => ReturnType<typeof stepper.start>
  let { snapshot, effects } = start(input)
  const lines = ['start', ...shown(stepper.view(snapshot).value, effects)]
  for (const event of events) {
    const step = stepper.send(snapshot, event)
    if (step.taken.length === 0) {
      throw new Error(`${JSON.stringify(event)} is unknown in ${JSON.stringify(stepper.view(snapshot).value)}`)
    }
    ;({ snapshot, effects } = step)
    lines.push('', asEvent(event as { type: string }), ...shown(stepper.view(snapshot).value, effects))
  }
  const { status, output } = stepper.view(snapshot)
  if (status === 'done') lines.push('', `done ${JSON.stringify(output)}`)
  return `${lines.join('\n')}\n`
}

/** Compares with `test/golden/transcripts/<name>.txt`, or writes it. */
export function expectGolden(name: string, text: string): void {
  const file = `${DIR}${name}.txt`
  if (process.env.UPDATE_GOLDEN === '1') {
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(file, text)
  }
  expect(text).toBe(readFileSync(file, 'utf8'))
}

function asEvent({ type, ...data }: { type: string; [key: string]: unknown }): string {
  delete data.actorId
  // Of a policy only what differs: its defaults are pinned where they are made.
  if ('policy' in data) data.policy = changesOf(data.policy as Policy)
  const shown = Object.entries(data).filter(([, value]) => value !== undefined)
  return shown.length === 0 ? `> ${type}` : `> ${type} ${JSON.stringify(Object.fromEntries(shown))}`
}

function shown(value: unknown, effects: readonly Effect[]): string[] {
  return [`  = ${path(value)}`, ...effects.map((effect) => `  ${asLine(effect)}`)]
}

const changesOf = (policy: Policy) =>
  Object.fromEntries(Object.entries(policy).filter(([name, value]) => DEFAULT_POLICY[name as LimitName] !== value))

const path = (value: unknown): string =>
  typeof value === 'string'
    ? value
    : Object.entries(value as object)
        .map(([state, inner]) => `${state}.${path(inner)}`)
        .join(' | ')

function asLine(effect: Effect): string {
  const json = (data: unknown) => (data === undefined ? '' : ` ${JSON.stringify(data)}`)
  switch (effect.kind) {
    case 'action':
      return `! ${effect.type}${json(effect.params)}`
    case 'armTimer':
      return `~ arm ${effect.id} ${effect.delayMs} ms`
    case 'disarmTimer':
      return `~ disarm ${effect.id}`
    case 'start':
      // The policy is the same table everywhere; its numbers show where they matter, in the timers.
      return `+ ${effect.id}${json(withoutPolicy(effect.input))}`
    case 'stop':
      return `- ${effect.id}`
    default:
      return `? ${JSON.stringify(effect)}`
  }
}

function withoutPolicy(input: unknown): unknown {
  if (typeof input !== 'object' || input === null || !('policy' in input)) return input
  const { policy: _, ...rest } = input
  return rest
}
