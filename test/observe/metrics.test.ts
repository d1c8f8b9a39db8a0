import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { request } from 'node:http'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Registry } from 'prom-client'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { listenOverflows, supervisorMetrics } from '../../src/observe/metrics.js'
import { type MetricsServer, serveMetrics } from '../../src/observe/metrics-server.js'
import type { SwapOutcome } from '../../src/supervisor/types.js'
import { committed, FakeSupervisor, rolledBack } from '../supervisor/fake-supervisor.js'

const phases = [
  { name: 'boot', ms: 300 },
  { name: 'drain', ms: 20 },
  { name: 'seal', ms: 10 },
  { name: 'open', ms: 5 },
  { name: 'verify', ms: 5 },
]
const good: SwapOutcome = { ...committed, phases, totalMs: 340 }
const bad: SwapOutcome = {
  ...rolledBack,
  handoffId: 'b',
  code: 'ERR_HANDOFF_SEAL_FAILED',
  phases: [...phases.slice(0, 3), { name: 'undo', ms: 15 }],
}

const sample = async (registry: Registry, line: string) =>
  Number(new RegExp(`^${line.replace(/[{}]/g, '\\$&')} (.+)$`, 'm').exec(await registry.metrics())?.[1])

describe('a supervisor as metrics', () => {
  test('the names of the wire specification are all published, and count what happened', async () => {
    const fake = new FakeSupervisor()
    const { registry } = supervisorMetrics(fake)
    fake.finish(good)
    fake.finish(good)
    fake.finish(bad)
    expect(await sample(registry, 'handoff_handoffs_total')).toBe(2)
    expect(await sample(registry, 'handoff_rolled_back_total')).toBe(1)
    expect(await sample(registry, 'handoff_seal_failures_total')).toBe(1)
    expect(await sample(registry, 'handoff_failures_total{phase="seal",code="ERR_HANDOFF_SEAL_FAILED"}')).toBe(1)
    expect(await sample(registry, 'handoff_duration_seconds_count')).toBe(2)
    expect(await sample(registry, 'handoff_drain_seconds_sum')).toBeCloseTo(0.04)
    expect(await sample(registry, 'handoff_seal_seconds_sum')).toBeCloseTo(0.02)
    expect(await sample(registry, 'handoff_begin_to_ready_seconds_count')).toBe(1)
    expect(await sample(registry, 'handoff_stall_seconds_sum')).toBeCloseTo(0.04 + 0.045)
  })

  test('gauges tell the present: who serves, probation, queues', async () => {
    const fake = new FakeSupervisor()
    const { registry, close } = supervisorMetrics(fake)
    expect(await sample(registry, 'handoff_in_probation')).toBe(0)
    expect(await sample(registry, 'handoff_parked_connections')).toBe(0)
    fake.phase('probation', 5, 12)
    expect(await sample(registry, 'handoff_parked_connections')).toBe(12)
    expect(await sample(registry, 'handoff_in_probation')).toBe(1)
    expect(await sample(registry, 'handoff_generation')).toBe(7)
    expect(await sample(registry, 'handoff_listener_queue{listener="http"}')).toBe(3)
    expect(await sample(registry, 'handoff_listener_backlog{listener="http"}')).toBe(4096)
    fake.current = { ...fake.current, incumbent: null }
    expect(await sample(registry, 'handoff_serving')).toBe(0)
    close()
    expect(fake.subscribers).toBe(0)
  })

  test('two supervisors share a process, each with its registry; a given one is used', () => {
    const registry = new Registry()
    expect(supervisorMetrics(new FakeSupervisor(), registry).registry).toBe(registry)
    expect(supervisorMetrics(new FakeSupervisor()).registry).not.toBe(registry)
  })

  test('the kernel’s count of overflows is a number', () => {
    expect(listenOverflows()).toBeGreaterThanOrEqual(0)
  })
})

describe('where they are served', () => {
  let dir: string
  let server: MetricsServer | null
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'metrics-'))
    server = null
  })
  afterEach(async () => {
    await server?.close()
    rmSync(dir, { recursive: true, force: true })
  })
  const { registry } = supervisorMetrics(new FakeSupervisor())
  const get = (options: object) =>
    new Promise<{ status: number; body: string }>((resolve, reject) => {
      request({ path: '/metrics', agent: false, ...options }, async (response) => {
        let body = ''
        for await (const chunk of response) body += chunk
        resolve({ status: response.statusCode ?? 0, body })
      })
        .on('error', reject)
        .end()
    })

  test('on the loopback interface', async () => {
    server = await serveMetrics(registry, '127.0.0.1:0')
    const [host, port] = server.address.split(':')
    expect((await get({ host, port })).body).toContain('# HELP handoff_handoffs_total')
    expect((await get({ host, port, path: '/other' })).status).toBe(404)
    expect((await get({ host, port, method: 'POST' })).status).toBe(404)
  })

  test('on a Unix socket for the owner alone, which goes with it', async () => {
    const path = join(dir, 'm.sock')
    server = await serveMetrics(registry, `unix:${path}`)
    expect(statSync(path).mode & 0o777).toBe(0o600)
    expect((await get({ socketPath: path })).status).toBe(200)
    await server.close()
    server = null
    expect(statSync(path, { throwIfNoEntry: false })).toBeUndefined()
  })

  test.each([':9464', '0.0.0.0:9464', '192.0.2.1:9464', '[::]:9464'])('never on %s', async (address) => {
    await expect(serveMetrics(registry, address)).rejects.toMatchObject({ code: 'ERR_HANDOFF_USAGE_METRICS_ADDRESS' })
  })

  test('a port that is taken is told', async () => {
    const other = createServer()
    const port = await new Promise<number>((resolve) =>
      other.listen(0, '127.0.0.1', () => resolve((other.address() as { port: number }).port)),
    )
    await expect(serveMetrics(registry, `127.0.0.1:${port}`)).rejects.toMatchObject({
      code: 'ERR_HANDOFF_INSPECT_LISTEN',
    })
    other.close()
  })
})

test('the example dashboard asks for metrics that exist', () => {
  const { registry } = supervisorMetrics(new FakeSupervisor())
  const published = registry.getMetricsAsArray().map(({ name }) => name)
  const dashboard = readFileSync(new URL('../../examples/grafana-dashboard.json', import.meta.url), 'utf8')
  const asked = [...new Set(dashboard.match(/\bhandoff_[a-z_]+/g))].map((name) => name.replace(/_bucket$/, ''))
  expect(asked.filter((name) => !published.includes(name))).toEqual([])
  expect(asked.length).toBeGreaterThan(12)
})
