import { createServer } from 'node:net'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { run as dispatch } from '../../src/cli/dispatch.js'
import { EXIT_CODES } from '../../src/cli/exit-codes.js'
import { runGuarded } from '../../src/cli/main.js'
import { askOne } from '../../src/cli/trigger-client.js'
import { committed, nobodyServes, rolledBack } from '../supervisor/fake-supervisor.js'
import { FakeIo, type Scene, scene } from './support.js'

let it: Scene
let io: FakeIo
beforeEach(async () => {
  it = await scene()
  io = new FakeIo()
})
afterEach(() => it.end())

const handoff = (...argv: string[]): Promise<number> => runGuarded(dispatch, argv, io)

describe('handoff swap', () => {
  test('committed: the report on stdout, the phases as plain lines on stderr, exit 0', async () => {
    const asked = it.supervisor.swapAsked()
    const exit = handoff('swap', '--socket', it.socket)
    await asked
    it.supervisor.phase('draining', 3.14)
    it.supervisor.finish(committed)
    expect(await exit).toBe(0)
    expect(io.stdout).toBe(
      [
        'handoff  v1 → v2',
        '  negotiating  3.1 ms',
        '  draining     1.2 s',
        'committed      1.2 s   pid 4211 → 4388',
        '',
      ].join('\n'),
    )
    expect(io.stderr).toBe('negotiating after 0.00 ms of 60 s\ndraining after 3.1 ms of 60 s\n')
  })

  test('live connections: how many moved, and why the others stay', async () => {
    const asked = it.supervisor.swapAsked()
    const exit = handoff('swap', '--socket', it.socket)
    await asked
    it.supervisor.finish({ ...committed, connections: { moved: 40, staying: { upgraded: 2, awaitingAnswer: 1 } } })
    expect(await exit).toBe(0)
    expect(io.stdout).toContain(
      '  live 40 connections moved, 3 stayed with the old program: 2 upgraded, 1 awaiting an answer\n',
    )
  })

  test('rolled back: who serves, why, the code, what to do, exit 10', async () => {
    const asked = it.supervisor.swapAsked()
    const exit = handoff('swap', '--socket', it.socket)
    await asked
    it.supervisor.finish(rolledBack)
    expect(await exit).toBe(EXIT_CODES.rolledBack)
    expect(io.stdout).toContain('rolled back    1.2 s   pid 4211 keeps serving\n')
    expect(io.stdout).toContain('  why  the successor exited before it was ready (ERR_HANDOFF_SUCCESSOR_EXITED)\n')
    expect(io.stdout).toMatch(/ {2}do {3}read the log/)
  })

  test('an incumbent that had to be started anew is not said to keep serving', async () => {
    const asked = it.supervisor.swapAsked()
    const exit = handoff('swap', '--socket', it.socket)
    await asked
    it.supervisor.finish({ ...rolledBack, incumbent: { pid: 5000, buildId: 'v1' } })
    expect(await exit).toBe(EXIT_CODES.rolledBack)
    expect(io.stdout).toContain('pid 5000 serves again in place of 4211')
  })

  test('nobody serves: said so, exit 20', async () => {
    const asked = it.supervisor.swapAsked()
    const exit = handoff('swap', '--socket', it.socket)
    await asked
    it.supervisor.finish(nobodyServes)
    expect(await exit).toBe(EXIT_CODES.nobodyServes)
    expect(io.stdout).toContain('\nnobody serves  1.2 s\n')
  })

  test('--json: the outcome and nothing else on stdout', async () => {
    const asked = it.supervisor.swapAsked()
    const exit = handoff('swap', '--socket', it.socket, '--json')
    await asked
    it.supervisor.finish(rolledBack)
    expect(await exit).toBe(EXIT_CODES.rolledBack)
    expect(JSON.parse(io.stdout)).toEqual(rolledBack)
  })

  test('on a TTY one line moves, keeps to the width, and is gone before the result', async () => {
    io.errIsTTY = true
    io.width = 30
    const asked = it.supervisor.swapAsked()
    const exit = handoff('swap', '--socket', it.socket)
    await asked
    await io.until(({ stderr }) => (stderr.match(/\r/g) ?? []).length >= 3)
    it.supervisor.phase('sealing', 20)
    await io.until(({ stderr }) => stderr.includes('sealing'))
    it.supervisor.finish(committed)
    expect(await exit).toBe(0)
    expect(io.stderr).not.toContain('\n')
    expect(io.stderr.endsWith('\r\x1b[K')).toBe(true)
    for (const frame of io.stderr.split('\r')) expect(frame.replace('\x1b[K', '').length).toBeLessThan(30)
  })

  test('colour only for a terminal, and not with NO_COLOR', async () => {
    for (const [outIsTTY, NO_COLOR, coloured] of [
      [true, undefined, true],
      [true, '1', false],
      [false, undefined, false],
    ] as const) {
      io = Object.assign(new FakeIo(), { outIsTTY, env: { NO_COLOR } })
      const asked = it.supervisor.swapAsked()
      const exit = handoff('swap', '--socket', it.socket)
      await asked
      it.supervisor.finish(committed)
      await exit
      expect(io.stdout.includes('\x1b[32m')).toBe(coloured)
    }
  })

  test('--binary: a path is made absolute here, a bare name is left to the supervisor’s PATH', async () => {
    for (const [typed, sent] of [
      [process.execPath, process.execPath],
      ['node', 'node'],
    ] as const) {
      const asked = it.supervisor.swapAsked()
      const exit = handoff('swap', '--socket', it.socket, '--binary', typed)
      await asked
      it.supervisor.finish(committed)
      await exit
      expect(it.supervisor.swaps.at(-1)).toEqual({ binary: sent })
    }
    expect(await handoff('swap', '--socket', it.socket, '--binary', './nothing')).toBe(EXIT_CODES.usage)
    expect(io.stderr).toContain(`the binary '${process.cwd()}/nothing' cannot be run`)
  })

  test('a swap is already running: exit 75', async () => {
    const asked = it.supervisor.swapAsked()
    const first = handoff('swap', '--socket', it.socket)
    await asked
    expect(await handoff('swap', '--socket', it.socket)).toBe(EXIT_CODES.alreadyRunning)
    expect(io.stderr).toContain('handoff: a swap is already running')
    it.supervisor.finish(committed)
    expect(await first).toBe(0)
  })

  test('no supervisor: exit 69, and the cure', async () => {
    expect(await handoff('swap', '--socket', join(it.dir, 'none.sock'))).toBe(EXIT_CODES.unreachable)
    expect(io.stderr).toContain('none.sock (ENOENT)\n  now  nothing was changed')
    expect(io.stderr).toContain("do   start one with 'handoff supervise'")
    expect(io.stderr).not.toContain('    at ')
  })

  test('Ctrl-C leaves a clean screen and the swap to itself: exit 130', async () => {
    io.errIsTTY = true
    const asked = it.supervisor.swapAsked()
    const exit = handoff('swap', '--socket', it.socket)
    await asked
    await io.until(({ stderr }) => stderr.includes('negotiating'))
    io.signal('SIGINT')
    expect(await exit).toBe(130)
    expect(io.stderr).toContain('\r\x1b[Khandoff: interrupted while a swap was under way\n  now  the swap goes on')
    it.supervisor.finish(committed)
    expect(it.supervisor.current.lastSwap).toEqual(committed)
  })

  test('a supervisor that dies on the request, before it read it: exit 69', async () => {
    const path = join(it.dir, 'dying.sock')
    // Destroyed with unread bytes in it: the client sees ECONNRESET, not an end.
    const server = createServer({ pauseOnConnect: true }, (socket) => socket.destroy()).listen(path)
    expect(await handoff('swap', '--socket', path)).toBe(EXIT_CODES.unreachable)
    await new Promise((resolve) => server.close(resolve))
  })

  test('a supervisor that takes the request and says nothing is left', async () => {
    const path = join(it.dir, 'mute.sock')
    const server = createServer((socket) => socket.resume()).listen(path)
    await expect(askOne(path, { cmd: 'status' }, 'status', { firstAnswerMs: 20 })).rejects.toThrow(
      expect.objectContaining({ code: 'ERR_HANDOFF_SUPERVISOR_SILENT' }),
    )
    await new Promise((resolve) => server.close(resolve))
  })

  test.each([
    [
      'leaves in the middle',
      '{"v":1,"event":"phase","phase":"draining","elapsedMs":1,"budgetMs":2}\n',
      69,
      'the outcome is unknown here',
    ],
    ['is another implementation', 'err: unknown command\n', 64, 'refused: unknown command'],
    ['is no supervisor', 'HTTP/1.1 400 Bad Request\r\n', 69, 'is no supervisor of this package; it said: HTTP/1.1 400'],
  ])('a peer that %s', async (_what, says, code, told) => {
    const path = join(it.dir, 'odd.sock')
    const server = createServer((socket) => socket.resume().end(says)).listen(path)
    expect(await handoff('swap', '--socket', path)).toBe(code)
    expect(io.stderr).toContain(told)
    await new Promise((resolve) => server.close(resolve))
  })
})

describe('handoff status', () => {
  test('who serves, the supervisor, the listeners; exit 0', async () => {
    expect(await handoff('status', '--socket', it.socket)).toBe(0)
    const [serving, supervisor, listener] = io.stdout.split('\n')
    expect(serving).toMatch(/^serving {5}pid 4211 {2}build v1 +generation 7 +since 2026-01-02T03:04:06.000Z \(\d+ h/)
    expect(supervisor).toMatch(/^supervisor {2}pid 4000 {2}serving +restarts 1 +since/)
    expect(listener).toMatch(/^listener {4}http {2}127.0.0.1:8080 {2}queue 3\/4096$/)
  })

  test('a swap under way and the last one', async () => {
    it.supervisor.current = { ...it.supervisor.current, lastSwap: rolledBack }
    it.supervisor.phase('sealing', 2_500)
    expect(await handoff('status', '--socket', it.socket)).toBe(0)
    expect(io.stdout).toMatch(/swap +sealing +2.5 s of 60 s +00112233-/)
    expect(io.stdout).toMatch(/last swap +rolledBack +1.2 s +00112233-.* the successor exited before/)
  })

  test('nobody serves: exit 20', async () => {
    it.supervisor.current = { ...it.supervisor.current, incumbent: null }
    expect(await handoff('status', '--socket', it.socket)).toBe(EXIT_CODES.nobodyServes)
    expect(io.stdout).toMatch(/^serving +nobody\n/)
  })

  test('--json is the status as it is', async () => {
    expect(await handoff('status', '--socket', it.socket, '--json')).toBe(0)
    expect(JSON.parse(io.stdout)).toEqual(it.supervisor.current)
  })

  test('the socket can come from the environment', async () => {
    io.env = { HANDOFF_TRIGGER_SOCKET: it.socket }
    expect(await handoff('status')).toBe(0)
  })
})

describe('handoff stop', () => {
  test('asks, and says that it did', async () => {
    expect(await handoff('stop', '--socket', it.socket)).toBe(0)
    expect(io.stdout).toBe('stopping\n')
    expect(await handoff('stop', '--leave', '--json', '--socket', it.socket)).toBe(0)
    expect(io.stdout).toBe('stopping\n{"stopping":true,"leave":true}\n')
    expect(it.endsAsked).toEqual(['stop', 'leave'])
  })
})
