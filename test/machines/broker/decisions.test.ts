/** The pure verdicts: Hello, tokens, rates, limits, envelopes. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { compareCore, helloRefusal } from '../../../machines/broker/hello.js'
import { BROKER_LIMITS, checkBrokerPolicy, DEFAULT_BROKER_POLICY } from '../../../machines/broker/policy.js'
import { envelopeFault, type Hello, helloEnvelope, PayloadProtocol } from '../../../machines/broker/protocol.js'
import { HelloRateLimit } from '../../../machines/broker/rate-limit.js'
import { TokenStore } from '../../../machines/broker/tokens.js'
import { frameCodec, helloCodec } from '../../../src/wire/broker/messages.js'

const hello = (fields: Partial<Hello> = {}): Hello =>
  helloCodec.decode(
    helloCodec.encode({
      clientMinProtocol: 1,
      clientMaxProtocol: 1,
      serviceName: 'kv',
      wantedVersion: '1.2.3',
      peerPid: 42,
      ...fields,
    }),
  )
const judge = (fields: Partial<Hello>, service: object | null = {}) => {
  const refusal = helloRefusal(hello(fields), { service, peerPid: 42 })
  return refusal && [refusal.code, refusal.retryAfterMs]
}

describe('Hello', () => {
  test.each<[string, Partial<Hello>, object | null, [string, number] | null]>([
    ['a sound one', {}, {}, null],
    ['a pid the kernel does not contradict', { peerPid: 0 }, {}, null],
    ['an upper-case name', { serviceName: 'KV' }, {}, ['peerRejected', 0]],
    ['an empty name', { serviceName: '' }, {}, ['peerRejected', 0]],
    ['a name of 65', { serviceName: 'a'.repeat(65) }, {}, ['peerRejected', 0]],
    ['an unknown service', {}, null, ['serviceUnknown', 0]],
    ['a range above', { clientMinProtocol: 2, clientMaxProtocol: 3 }, {}, ['versionUnsupported', 0]],
    ['a range below', { clientMinProtocol: 0, clientMaxProtocol: 0 }, {}, ['versionUnsupported', 0]],
    ['no version', { wantedVersion: '' }, {}, ['peerRejected', 0]],
    ['a malformed version', { wantedVersion: '1.2' }, {}, ['peerRejected', 0]],
    [
      'a malformed version with an allow-list',
      { wantedVersion: 'x' },
      { allowedVersions: ['1.2.3'] },
      ['versionBlocked', 30_000],
    ],
    ['a version not allowed', { wantedVersion: '1.2.4' }, { allowedVersions: ['1.2.3'] }, ['versionBlocked', 30_000]],
    ['a version below the floor', { wantedVersion: '1.9.9' }, { minVersion: '1.10.0' }, ['versionBlocked', 30_000]],
    ['a pre-release of the floor', { wantedVersion: '1.10.0-rc.1' }, { minVersion: '1.10.0' }, null],
    ['a long client version', { clientVersion: 'v'.repeat(129) }, {}, ['peerRejected', 0]],
    ['a long library name', { clientLibName: 'l'.repeat(65) }, {}, ['peerRejected', 0]],
    ['a long library version', { clientLibVersion: 'l'.repeat(65) }, {}, ['peerRejected', 0]],
    ['a pid that is not its own', { peerPid: 43 }, {}, ['peerRejected', 0]],
  ])('%s', (_, fields, service, verdict) => {
    expect(judge(fields, service)).toEqual(verdict)
  })

  test('versions compare by numbers of any length', () => {
    expect(compareCore('1.2.3', '1.2.10')).toBe(-1)
    expect(compareCore(`${'9'.repeat(40)}.0.0`, '2.0.0')).toBe(1)
    expect(compareCore('1.2.3-rc.1', '1.2.3')).toBe(0)
  })

  test('an envelope is tested for version, kind, protocol, encoding, in this order', () => {
    const frame = frameCodec.decode(new Uint8Array())
    const good = { ...frame, envelopeVersion: 1 }
    expect(envelopeFault(good, helloEnvelope)).toBeNull()
    const bad = { ...frame, envelopeVersion: 2, kind: 9, payloadProtocol: PayloadProtocol.admin, payloadEncoding: 7 }
    expect(envelopeFault(bad, helloEnvelope)).toBe('version')
    expect(envelopeFault({ ...bad, envelopeVersion: 1 }, helloEnvelope)).toBe('kind')
    expect(envelopeFault({ ...bad, envelopeVersion: 1, kind: 0 }, helloEnvelope)).toBe('protocol')
    expect(envelopeFault({ ...good, payloadEncoding: 7 }, helloEnvelope)).toBe('encoding')
  })
})

describe('tokens (INV-21)', () => {
  const equals = (a: Uint8Array, b: Uint8Array) => Buffer.compare(a, b) === 0
  const store = (limits: object = {}) => new TokenStore({ ...DEFAULT_BROKER_POLICY, ...limits }, equals)
  const token = (byte: number) => new Uint8Array(16).fill(byte)

  test('a token is consumed once', () => {
    const tokens = store()
    tokens.issue(7, 0, () => token(1))
    expect(tokens.consume(7, token(1), 10)).toBe('consumed')
    expect(tokens.consume(7, token(1), 10)).toBe('notPending')
  })

  test('a wrong guess consumes nothing', () => {
    const tokens = store()
    tokens.issue(7, 0, () => token(1))
    expect(tokens.consume(7, token(2), 10)).toBe('mismatch')
    expect(tokens.consume(7, token(1), 10)).toBe('consumed')
  })

  test('a token that is too old, or revoked, is gone', () => {
    const tokens = store()
    tokens.issue(7, 0, () => token(1))
    expect(tokens.consume(7, token(1), 30_000)).toBe('expired')
    tokens.issue(8, 0, () => token(1))
    expect(tokens.revoke(8)).toBe(true)
    expect([tokens.revoke(8), tokens.consume(8, token(1), 0)]).toEqual([false, 'notPending'])
  })

  test('a full store gives none until tokens expire', () => {
    const tokens = store({ maxTokens: 2 })
    let next = 0
    const issue = (now: number) => tokens.issue(++next, now, () => token(next)) !== null
    expect([issue(0), issue(0), issue(29_999), issue(30_000), tokens.size]).toEqual([true, true, false, true, 1])
  })

  test('sixteen equal candidates mean that the random source is broken: no token', () => {
    const tokens = store()
    tokens.issue(1, 0, () => token(1))
    let asked = 0
    const broken = () => {
      asked++
      return token(1)
    }
    expect([tokens.issue(2, 0, broken), asked]).toEqual([null, 16])
  })

  test('in any order of calls a token is consumed at most once', () => {
    const call = fc.tuple(fc.constantFrom('issue', 'consume', 'revoke'), fc.nat(3), fc.nat(40_000))
    fc.assert(
      fc.property(fc.array(call), (calls) => {
        const tokens = store({ maxTokens: 3 })
        const consumed = new Map<number, number>()
        let [now, serial] = [0, 0]
        const given = new Map<number, Uint8Array>()
        for (const [what, id, passed] of calls) {
          now += passed
          if (what === 'issue') {
            if (given.has(id)) continue
            const fresh = tokens.issue(id, now, () => token(++serial))
            if (fresh !== null) given.set(id, fresh)
          } else if (what === 'revoke') tokens.revoke(id)
          else if (tokens.consume(id, given.get(id) ?? token(255), now) === 'consumed') {
            consumed.set(id, (consumed.get(id) ?? 0) + 1)
          }
          expect(tokens.size).toBeLessThanOrEqual(3)
        }
        expect(Math.max(0, ...consumed.values())).toBeLessThanOrEqual(1)
      }),
    )
  })
})

describe('W6 the rate limit', () => {
  test('counts a process over its connections, and says how long to wait', () => {
    const rates = new HelloRateLimit({ ...DEFAULT_BROKER_POLICY, helloRateLimit: 2 })
    expect([rates.admit(1, 0), rates.admit(1, 10), rates.admit(1, 400), rates.admit(2, 400)]).toEqual([0, 0, 600, 0])
    expect(rates.admit(1, 1_000)).toBe(0)
  })

  test('does not limit where the kernel tells no pid, and forgets the oldest when it knows too many', () => {
    const rates = new HelloRateLimit({ ...DEFAULT_BROKER_POLICY, helloRateLimit: 1, maxRatedPids: 2 })
    expect([0, 0, 0].map(() => rates.admit(0, 0))).toEqual([0, 0, 0])
    rates.admit(1, 0)
    rates.admit(2, 1)
    rates.admit(3, 2)
    expect([rates.admit(3, 3) > 0, rates.admit(1, 3)]).toEqual([true, 0])
  })
})

describe('limits', () => {
  test('every default lies within its bounds and every limit says why', () => {
    for (const limit of Object.values(BROKER_LIMITS)) {
      expect(limit.default).toBeGreaterThanOrEqual(limit.min)
      expect(limit.default).toBeLessThanOrEqual(limit.max)
      expect(limit.why.length).toBeGreaterThan(20)
    }
    expect(checkBrokerPolicy({}).problems).toEqual([])
  })

  test('W4 the broker decides before a client stops waiting, and a backend outwaits the broker', () => {
    const { handoffBudgetMs, ackTimeoutMs, dialTimeoutMs, readyTimeoutMs, goTimeoutMs } = DEFAULT_BROKER_POLICY
    expect(handoffBudgetMs).toBeLessThan(readyTimeoutMs)
    expect(ackTimeoutMs).toBeLessThan(handoffBudgetMs)
    expect(dialTimeoutMs).toBeLessThan(handoffBudgetMs)
    expect(goTimeoutMs).toBeGreaterThan(handoffBudgetMs)
    expect(checkBrokerPolicy({ goTimeoutMs: 1_000 }).problems).toEqual([
      { name: 'goTimeoutMs', problem: 'must be longer than handoffBudgetMs' },
    ])
  })

  test('what is no limit, or no number within bounds, is named', () => {
    const { problems } = checkBrokerPolicy({ nonsense: 1, maxTokens: 0, tokenTtlMs: 1.5 })
    expect(problems.map(({ name }) => name)).toEqual(['nonsense', 'maxTokens', 'tokenTtlMs'])
  })
})
