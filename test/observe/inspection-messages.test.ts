import { describe, expect, test } from 'vitest'
import { createActor, type InspectionEvent, SimulatedClock, setup } from 'xstate'
import {
  type Captured,
  capture,
  MAX_MESSAGE_BYTES,
  messageText,
  toJson,
} from '../../src/observe/inspection-messages.js'

const by = { pid: 4211, buildId: 'v7', epoch: 'e1' }

const machine = setup({
  types: { context: {} as { big: bigint; policy: { waitMs: number } }, events: {} as { type: 'peer.spoke' } },
  actions: { sendToPeer: (_, _params: { kind: string }) => {} },
  delays: { waitMs: ({ context }) => context.policy.waitMs },
}).createMachine({
  id: 'demo',
  context: { big: 2n ** 63n, policy: { waitMs: 250 } },
  initial: 'idle',
  states: {
    idle: { on: { 'peer.spoke': { target: 'waiting', actions: { type: 'sendToPeer', params: { kind: 'Hello' } } } } },
    waiting: { after: { waitMs: 'idle' } },
  },
})

function record(): { captured: Captured[]; messages: Record<string, never>[] } {
  const captured: Captured[] = []
  const actor = createActor(machine, {
    clock: new SimulatedClock(),
    inspect: (event: InspectionEvent) => {
      const taken = capture(event, 'incumbent')
      if (taken !== null) captured.push(taken)
    },
  })
  actor.start()
  actor.send({ type: 'peer.spoke' })
  return { captured, messages: captured.map((one) => JSON.parse(messageText(one, by))) }
}

describe('what an inspector is told', () => {
  const { messages } = record()

  test('the definition, the event, what was said, the state: in this order', () => {
    expect(messages.map(({ type }) => type)).toEqual([
      '@xstate.actor',
      '@xstate.event',
      '@xstate.snapshot',
      '@xstate.event',
      '@xstate.action',
      '@xstate.snapshot',
    ])
    expect(JSON.parse(String(messages[0]?.definition))).toMatchObject({
      id: 'demo',
      initial: 'idle',
    })
    expect(messages[4]).toMatchObject({ action: { type: 'sendToPeer', params: { kind: 'Hello' } } })
    expect(messages[5]).toMatchObject({ snapshot: { value: 'waiting', status: 'active' } })
  })

  test('a session id names the role and the pid, and two lives of one pid differ', () => {
    for (const { sessionId } of messages) expect(sessionId).toBe('incumbent-4211-e1/x:0')
    expect(messages[0]).toMatchObject({
      name: 'incumbent (pid 4211)',
      process: { role: 'incumbent', pid: 4211, buildId: 'v7' },
    })
  })

  test('armed timers come with their delay, so that a viewer can count down', () => {
    expect(messages[2]).toMatchObject({ timers: [] })
    expect(messages[5]).toMatchObject({ timers: [{ event: 'xstate.after.waitMs.demo.waiting', delayMs: 250 }] })
  })

  test('u64 in a context is text, not an exception', () => {
    expect(messages[5]).toMatchObject({ snapshot: { context: { big: '9223372036854775808' } } })
  })
})

test('errors keep their words, functions their name, circles end', () => {
  const loop: Record<string, unknown> = { twice: [{ a: 1 }, { a: 1 }] }
  loop.self = loop
  const error = Object.assign(new Error('disk full'), { code: 'ENOSPC' })
  expect(JSON.parse(toJson({ loop, error, hook: function seal() {} }))).toEqual({
    loop: { twice: [{ a: 1 }, { a: 1 }], self: '(circular)' },
    error: { name: 'Error', message: 'disk full', code: 'ENOSPC' },
    hook: { type: 'seal' },
  })
})

test('a context beyond the limit is left out and the state still told', () => {
  const { captured } = record()
  const last = captured.at(-1) as Captured & { type: 'snapshot' }
  const huge = { ...last, snapshot: { value: 'waiting', status: 'active', context: 'x'.repeat(MAX_MESSAGE_BYTES) } }
  const text = messageText(huge as Captured, by)
  expect(text.length).toBeLessThan(1000)
  expect(JSON.parse(text)).toMatchObject({
    snapshot: { value: 'waiting', context: { omitted: expect.stringMatching(/bytes/) } },
  })
})
