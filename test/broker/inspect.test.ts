/** The broker and its connections as an inspector sees them. */
import { join } from 'node:path'
import { pino } from 'pino'
import { expect, test } from 'vitest'
import { serveBroker } from '../../src/broker/index.js'
import { openRelay } from '../../src/observe/relay.js'
import { later } from './cleanup.js'
import { privateDirectory, setup } from './support.js'

interface Told {
  readonly type: string
  readonly sessionId: string
  readonly name?: string
  readonly parentId?: string
  readonly definition?: string
  readonly action?: { readonly type: string }
  readonly snapshot?: { readonly status: string; readonly value?: unknown }
}

async function inspector() {
  const told: Told[] = []
  const socketPath = join(privateDirectory(), 'i')
  const relay = await openRelay({
    port: 0,
    socketPath,
    pages: new Map(),
    log: pino({ level: 'silent' }),
    onMessage: (text) => void told.push(JSON.parse(text)),
  })
  later(() => relay.close())
  const until = async (holds: () => boolean) => {
    while (!holds()) await new Promise((resolve) => setTimeout(resolve, 5))
  }
  return { told, until, address: `unix:${socketPath}` }
}

test('a connection that is passed on is seen from its Hello to its end, below the broker that owns it', async () => {
  const { told, until, address } = await inspector()
  const { connect } = await setup({ broker: { inspect: address } })
  await until(() => told.some(({ type }) => type === '@xstate.actor'))
  const { socket } = await connect()
  socket.destroy()
  await until(() =>
    told.some(({ sessionId, snapshot }) => sessionId.includes('connection:') && snapshot?.status === 'done'),
  )
  const [owner] = told.filter(({ type, parentId }) => type === '@xstate.actor' && parentId === undefined)
  expect(owner).toMatchObject({ name: expect.stringMatching(/^broker \(pid \d+\)$/) })
  expect(JSON.parse(owner?.definition ?? '')).toMatchObject({ id: 'broker' })
  const one = told.filter(({ sessionId }) => sessionId.endsWith('connection:1'))
  expect(one[0]).toMatchObject({ type: '@xstate.actor', parentId: owner?.sessionId })
  expect(JSON.parse(one[0]?.definition ?? '')).toMatchObject({ id: 'connection' })
  const actions = one.flatMap(({ action }) => action?.type ?? [])
  expect(actions).toEqual(expect.arrayContaining(['readHello', 'sendReply', 'transferConnection', 'reportOutcome']))
  const values = one.flatMap(({ type, snapshot }) => (type === '@xstate.snapshot' ? [snapshot?.value] : []))
  expect(new Set(values.map((value) => JSON.stringify(value))).size).toBeGreaterThan(3)
})

test('without a control socket beside which somebody could listen, true is refused', async () => {
  await expect(serveBroker({ services: {}, inspect: true })).rejects.toMatchObject({
    code: 'ERR_HANDOFF_BROKER_USAGE_OPTION',
    message: expect.stringContaining('give an address'),
  })
})
