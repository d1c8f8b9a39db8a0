import * as api from '@opentelemetry/api'
import { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-base'
import { pino } from 'pino'
import { afterEach, expect, test } from 'vitest'
import { spanWriter } from '../../src/observe/spans.js'
import { committed, FakeSupervisor, rolledBack } from '../supervisor/fake-supervisor.js'

const exporter = new InMemorySpanExporter()
const provider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] })
const log = pino({ level: 'silent' })
const ms = ([seconds, nanos]: readonly [number, number]) => seconds * 1000 + nanos / 1e6

afterEach(() => {
  api.trace.disable()
  exporter.reset()
})

function followed(option: Parameters<typeof spanWriter>[0]): FakeSupervisor {
  const fake = new FakeSupervisor()
  const follow = spanWriter(option, log)
  if (follow === null) throw new Error('no spans are written')
  fake.subscribe(follow)
  return fake
}
const written = async (count: number) => {
  while (exporter.getFinishedSpans().length < count) await new Promise((resolve) => setImmediate(resolve))
  return exporter.getFinishedSpans()
}

test('nobody asked: nothing follows, nothing is loaded', () => {
  expect(spanWriter(undefined, log)).toBeNull()
  expect(spanWriter(false, log)).toBeNull()
})

test('a committed swap is one span, its phases are spans below it that fill it without a gap', async () => {
  api.trace.setGlobalTracerProvider(provider)
  followed(true).finish(committed)
  const spans = await written(3)
  const swap = spans.find(({ name }) => name === 'handoff.swap')
  expect(swap?.attributes).toEqual({
    'handoff.id': committed.handoffId,
    'handoff.result': 'committed',
    'handoff.pid': 4388,
    'handoff.build': 'v2',
    'handoff.previous.pid': 4211,
    'handoff.previous.build': 'v1',
  })
  expect(swap?.status).toEqual({ code: api.SpanStatusCode.OK })
  expect(ms(swap?.duration ?? [0, 0])).toBeCloseTo(committed.totalMs, 1)
  const phases = spans.filter(({ name }) => name !== 'handoff.swap')
  expect(phases.map(({ name }) => name)).toEqual(['handoff.negotiating', 'handoff.draining'])
  for (const phase of phases) expect(phase.parentSpanContext?.spanId).toBe(swap?.spanContext().spanId)
  expect(ms(phases[0]?.startTime ?? [0, 0])).toBeCloseTo(ms(swap?.startTime ?? [0, 0]), 1)
  expect(ms(phases[1]?.startTime ?? [0, 0])).toBeCloseTo(ms(phases[0]?.endTime ?? [0, 0]), 1)
  expect(ms(phases[1]?.endTime ?? [0, 0])).toBeCloseTo(ms(swap?.endTime ?? [0, 0]), 1)
})

test('one that was rolled back is an error with its code and its sentence; each is written once; a given API is used', async () => {
  const given = { ...api, trace: { getTracer: () => provider.getTracer('given'), setSpan: api.trace.setSpan } }
  const fake = followed(given)
  fake.finish(rolledBack)
  fake.finish(rolledBack)
  fake.finish({ ...committed, handoffId: 'another' })
  const swaps = (await written(6)).filter(({ name }) => name === 'handoff.swap')
  expect(swaps).toHaveLength(2)
  expect(swaps[0]?.attributes['handoff.code']).toBe('ERR_HANDOFF_SUCCESSOR_EXITED')
  expect(swaps[0]?.status).toEqual({ code: api.SpanStatusCode.ERROR, message: rolledBack.reason })
  expect(swaps[0]?.instrumentationScope.name).toBe('given')
})
