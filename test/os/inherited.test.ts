import { spawnSync } from 'node:child_process'
import { describe, expect, test } from 'vitest'
import { consumeHandoffEnv, inheritedListeners } from '../../src/os/inherited.js'
import { codeOf, fixture, useTempDir } from './support.js'

const dir = useTempDir()

/** Runs the real thing in a child whose fds 3, 4, … are `stdio`: what a supervisor, or systemd, would have left there. */
function asChild(env: { [name: string]: string }, ...kinds: string[]): { [key: string]: unknown } {
  const run = spawnSync(process.execPath, [fixture('inherit-parent.mjs'), dir.path, JSON.stringify(env), ...kinds], {
    encoding: 'utf8',
  })
  if (run.stdout === '') throw new Error(run.stderr)
  return JSON.parse(run.stdout)
}

describe('the variables', () => {
  const none = { role: null, channelFd: null, deadlineMs: null, listeners: [] }

  test('without any there is nothing inherited', () => expect(consumeHandoffEnv({})).toEqual(none))

  test('all six are removed, also when they are refused', () => {
    const all = {
      HANDOFF_ROLE: 'successor',
      HANDOFF_SOCK_FD: '3',
      HANDOFF_DEADLINE_MS: '9',
      LISTEN_FDS: '0',
      LISTEN_FDNAMES: '',
      LISTEN_PID: String(process.pid),
    }
    const env: { [name: string]: string } = { ...all, PATH: '/bin', HANDOFF_ROLE: 'spectator' }
    expect(codeOf(() => consumeHandoffEnv(env))).toBe('ERR_HANDOFF_INHERITED')
    expect(env).toEqual({ PATH: '/bin' })
  })

  test('a LISTEN_PID of somebody else makes the whole block void', () => {
    const env = { LISTEN_PID: String(process.pid + 1), LISTEN_FDS: 'garbage', LISTEN_FDNAMES: 'a:a' }
    expect(consumeHandoffEnv(env)).toEqual(none)
    expect(env).toEqual({})
  })

  test('without a role the other variables of the handoff mean nothing', () => {
    expect(consumeHandoffEnv({ HANDOFF_SOCK_FD: '77', HANDOFF_DEADLINE_MS: 'x' })).toEqual(none)
  })

  test.each<[string, { [name: string]: string }]>([
    ['count', { LISTEN_FDS: 'x' }],
    ['negative count', { LISTEN_FDS: '-1' }],
    ['huge count', { LISTEN_FDS: '99999' }],
    ['empty count', { LISTEN_FDS: '' }],
    ['pid', { LISTEN_FDS: '1', LISTEN_PID: '0x10' }],
    ['too few names', { LISTEN_FDS: '2', LISTEN_FDNAMES: 'a' }],
    ['too many names', { LISTEN_FDS: '1', LISTEN_FDNAMES: 'a:b' }],
    ['names twice', { LISTEN_FDS: '2', LISTEN_FDNAMES: 'a:a' }],
    ['empty name', { LISTEN_FDS: '2', LISTEN_FDNAMES: 'a:' }],
    ['role', { HANDOFF_ROLE: 'incumbent', HANDOFF_SOCK_FD: '3' }],
    ['no channel', { HANDOFF_ROLE: 'successor' }],
    ['channel on stdio', { HANDOFF_ROLE: 'successor', HANDOFF_SOCK_FD: '2' }],
    [
      'channel on a listener',
      { HANDOFF_ROLE: 'successor', HANDOFF_SOCK_FD: '4', LISTEN_FDS: '2', LISTEN_FDNAMES: 'a:b' },
    ],
    ['deadline', { HANDOFF_ROLE: 'successor', HANDOFF_SOCK_FD: '3', HANDOFF_DEADLINE_MS: '0' }],
    ['deadline too long', { HANDOFF_ROLE: 'successor', HANDOFF_SOCK_FD: '3', HANDOFF_DEADLINE_MS: '4294967296' }],
  ])('garbage is one clear error: %s', (_what, env) => {
    expect(codeOf(() => consumeHandoffEnv(env))).toBe('ERR_HANDOFF_INHERITED')
    expect(env).toEqual({})
  })

  test('a channel that is not open is told as such', () => {
    expect(() => consumeHandoffEnv({ HANDOFF_ROLE: 'successor', HANDOFF_SOCK_FD: '90000' })).toThrow(
      expect.objectContaining({
        code: 'ERR_HANDOFF_INHERITED_FD',
        happened: 'fd 90000 was announced as inherited, but it is not open',
      }),
    )
  })

  test('inheritedListeners takes only the LISTEN_* block', () => {
    const env = { LISTEN_FDS: '0', HANDOFF_ROLE: 'successor', HANDOFF_SOCK_FD: '3' }
    expect(inheritedListeners(env)).toEqual([])
    expect(env).toEqual({ HANDOFF_ROLE: 'successor', HANDOFF_SOCK_FD: '3' })
  })
})

describe('in a child process', () => {
  test('a successor finds its listeners by name, its channel and its deadline, all close-on-exec', () => {
    const env = {
      HANDOFF_ROLE: 'successor',
      HANDOFF_SOCK_FD: '5',
      HANDOFF_DEADLINE_MS: '60000',
      LISTEN_FDS: '2',
      LISTEN_FDNAMES: 'http:admin',
    }
    expect(asChild(env, 'tcp', 'unix', 'channel')).toEqual({
      role: 'successor',
      channelFd: 5,
      deadlineMs: 60_000,
      listeners: [
        { name: 'http', fd: 3, address: { family: 'IPv4', address: '127.0.0.1', port: expect.any(Number) } },
        { name: 'admin', fd: 4, address: { family: 'unix', path: `${dir.path}/l.sock` } },
      ],
      closeOnExec: [true, true, true],
      left: [],
    })
  })

  test('a cold start has LISTEN_* alone; without names the fds name themselves', () => {
    expect(asChild({ LISTEN_FDS: '1' }, 'tcp')).toMatchObject({
      role: null,
      channelFd: null,
      listeners: [{ name: 'fd3', fd: 3 }],
    })
  })

  test.each([
    ['it is not a socket (kind: file)', 'file'],
    ['nobody has called listen(2) on it', 'bound'],
    ['nobody has called listen(2) on it', 'channel'],
    ['it is not a stream socket', 'datagram'],
  ])('a listener is refused when %s (%s)', (why, kind) => {
    expect(asChild({ LISTEN_FDS: '1' }, kind)).toMatchObject({
      code: 'ERR_HANDOFF_INHERITED_FD',
      happened: `fd 3 was announced as inherited, but ${why}`,
      left: [],
    })
  })

  test.each(['tcp', 'unix', 'file', 'datagram'])('a %s is refused as the channel', (kind) => {
    expect(asChild({ HANDOFF_ROLE: 'successor', HANDOFF_SOCK_FD: '3' }, kind)).toMatchObject({
      code: 'ERR_HANDOFF_INHERITED_FD',
    })
  })
})
