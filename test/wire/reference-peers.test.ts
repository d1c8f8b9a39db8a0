import { existsSync, readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import type { Message, MessageType } from '../../machines/handoff/protocol.js'
import { encodeMessage } from '../../src/wire/handoff.js'
import { decodeJournal } from '../../src/wire/journal.js'
import { referencePeer } from '../fixtures/reference-peer.js'
import { type Answer, decodeRecord, type Outcome, ReferenceRun } from './reference-run.js'

const types = (messages: readonly Message[]): MessageType[] => messages.map(({ type }) => type)
const find = <T extends MessageType>(messages: readonly Message[], type: T) =>
  messages.find((message): message is Extract<Message, { type: T }> => message.type === type)

test('a commit: the recorded exchange of reference S, O and N decodes, and no write is lost on the way', async () => {
  await using run = new ReferenceRun()
  const incumbent = await run.startIncumbent()
  const clients = run.writing()
  const { supervisor, record } = run.startSupervisor()

  const outcome = await supervisor.line<Outcome>({ committed: true })
  const { pid } = await supervisor.line<Answer>({ event: 'serving', pid: outcome.successor_pid })
  expect(await incumbent.exit).toBe(0)
  const acknowledged = await clients.stop()
  expect(await run.ask('GET')).toEqual({ pid, revision: acknowledged })
  expect(await run.helloOnControlPath()).toMatchObject({ role: 'incumbent', pid, protoMin: 1, protoMax: 1 })

  const toIncumbent = decodeRecord(record, 'incumbent.sent')
  const fromIncumbent = decodeRecord(record, 'incumbent.received')
  const toSuccessor = decodeRecord(record, 'successor.sent')
  const fromSuccessor = decodeRecord(record, 'successor.received')
  expect(types(toIncumbent)).toEqual(['HelloAck', 'PrepareHandoff', 'SealRequest', 'Commit'])
  expect(types(fromIncumbent)).toEqual(['Hello', 'Drained', 'SealComplete'])
  expect(types(toSuccessor)).toEqual(['HelloAck', 'Begin'])
  expect(types(fromSuccessor)).toEqual(['Hello', 'Ready'])

  const everything = [toIncumbent, fromIncumbent, toSuccessor, fromSuccessor].flat()
  const ids = everything.flatMap((message) => ('handoffId' in message ? [message.handoffId] : []))
  expect(ids).toHaveLength(8)
  expect(new Set(ids)).toEqual(new Set([outcome.handoff_id]))
  expect(find(fromIncumbent, 'Hello')).toMatchObject({ role: 'incumbent', pid: incumbent.child.pid })
  expect(find(fromSuccessor, 'Hello')).toMatchObject({ role: 'successor', pid })
  expect(find(toIncumbent, 'PrepareHandoff')).toMatchObject({ successorPid: pid, drainGraceMs: 25_000n })
  expect(find(fromIncumbent, 'Drained')).toEqual({ type: 'Drained', openConnsRemaining: 0, acceptClosed: true })
  const sealed = find(fromIncumbent, 'SealComplete')
  expect(sealed?.dataDirFingerprint).toEqual(new Uint8Array(32))
  expect(find(fromSuccessor, 'Ready')).toMatchObject({
    listeningOn: ['http'],
    healthzOk: true,
    advertisedRevisionPerShard: sealed?.lastRevisionPerShard,
  })
  expect(outcome.sealed_revisions).toEqual(sealed?.lastRevisionPerShard.map(String))

  process.kill(pid, 'SIGKILL')
  // The supervisor was told to stay until the successor is gone.
  expect(await supervisor.exit).toBe(0)
})

test('a rollback: N dies before Ready, O takes its lock back, and the next handoff succeeds', async () => {
  await using run = new ReferenceRun()
  const incumbent = await run.startIncumbent()
  const clients = run.writing()
  const { supervisor, record } = run.startSupervisor('crash@before-ready')

  const outcome = await supervisor.line<Outcome>({ committed: false })
  expect(outcome.abort_reason).toBe('EOF where Ready belongs')
  await incumbent.line({ event: 'resumed', after: 'sealed', why: 'ResumeAfterAbort' })
  expect(await supervisor.exit).toBe(0)
  const acknowledged = await clients.stop()
  expect(await run.ask('GET')).toEqual({ pid: incumbent.child.pid, revision: acknowledged })
  expect(types(decodeRecord(record, 'incumbent.sent'))).toEqual([
    'HelloAck',
    'PrepareHandoff',
    'SealRequest',
    'ResumeAfterAbort',
  ])
  expect(types(decodeRecord(record, 'successor.received'))).toEqual(['Hello'])

  const second = run.startSupervisor().supervisor
  const { successor_pid } = await second.line<Outcome>({ committed: true })
  await second.line({ event: 'serving', pid: successor_pid })
  expect(await run.ask('GET')).toEqual({ pid: successor_pid, revision: acknowledged })
})

test('reference habit: committed is said and O is gone before N has bound the control socket', async () => {
  await using run = new ReferenceRun()
  const incumbent = await run.startIncumbent()
  const { supervisor } = run.startSupervisor('hang@after-ready')
  const { successor_pid } = await supervisor.line<Outcome>({ committed: true })
  await supervisor.line({ event: 'hanging', point: 'after-ready', pid: successor_pid })
  expect(await incumbent.exit).toBe(0)
  await expect(run.helloOnControlPath()).rejects.toThrow(expect.objectContaining({ code: 'ECONNREFUSED' }))
})

test('a failed seal: O keeps its lock and serves, N is told Abort', async () => {
  await using run = new ReferenceRun()
  const incumbent = await run.startIncumbent('fail@seal')
  const { supervisor, record } = run.startSupervisor()

  const outcome = await supervisor.line<Outcome>({ committed: false })
  expect(outcome.abort_reason).toContain('told to fail at seal')
  await incumbent.line({ event: 'resumed', after: 'drained', why: 'SealFailed' })
  expect(await supervisor.exit).toBe(0)
  expect(await run.ask('POST')).toEqual({ pid: incumbent.child.pid, revision: 1 })
  const failed = find(decodeRecord(record, 'incumbent.received'), 'SealFailed')
  const abort = find(decodeRecord(record, 'successor.sent'), 'Abort')
  expect(abort?.reason).toBe(failed?.error)
  expect(types(decodeRecord(record, 'incumbent.sent'))).toEqual(['HelloAck', 'PrepareHandoff', 'SealRequest'])
})

describe('S vanishes', () => {
  test.each([
    ['s-drained', 'drained', 'Draining'],
    ['s-sealed', 'sealed', 'Sealing'],
  ])('at %s: O takes EOF as the abort, N gives up, the journal stays', async (point, after, phase) => {
    await using run = new ReferenceRun()
    const incumbent = await run.startIncumbent()
    const { supervisor } = run.startSupervisor(`crash@${point}`, ['--journal', run.journal])
    expect(await supervisor.exit).toBe('SIGKILL')
    await supervisor.line({ event: 'gave up', why: 'EOF where Begin belongs' })
    await supervisor.closed
    await incumbent.line({ event: 'resumed', after, why: 'EOF' })
    expect(await run.ask('POST')).toEqual({ pid: incumbent.child.pid, revision: 1 })
    // Two encoders that know nothing of each other: the fixture wrote it, src/wire reads it.
    const journal = decodeJournal(readFileSync(run.journal))
    expect(journal).toMatchObject({ phase: phase.toLowerCase(), incumbentPid: supervisor.child.pid })
    expect(journal.successorPid).toBeGreaterThan(0)
  })

  test('a finished handoff leaves no journal', async () => {
    await using run = new ReferenceRun()
    await run.startIncumbent()
    const { supervisor } = run.startSupervisor('', ['--journal', run.journal])
    await supervisor.line<Outcome>({ committed: true })
    expect(existsSync(run.journal)).toBe(false)
  })
})

test('a frame of the reference peers is three writes, each after the last one is through', async () => {
  const { Channel } = (await import(referencePeer.wire)) as {
    Channel: new (socket: object) => { send(type: MessageType, message: object): Promise<void> }
  }
  const parts: Uint8Array[] = []
  const through: (() => void)[] = []
  const write = (part: Uint8Array, done: () => void) => {
    expect(through.splice(0)).toEqual([])
    parts.push(part)
    through.push(done)
    setImmediate(() => {
      for (const settle of through.splice(0)) settle()
    })
  }
  const channel = new Channel({ on: () => {}, write })
  await Promise.all([channel.send('Heartbeat', { ts_ms: 300 }), channel.send('Heartbeat', { ts_ms: 5 })])
  expect(parts.map(({ length }) => length)).toEqual([4, 2, 3, 4, 2, 2])
  const frames = [300n, 5n].map((tsMs) => encodeMessage({ type: 'Heartbeat', tsMs }))
  expect(Buffer.concat(parts)).toEqual(Buffer.concat(frames))
})
