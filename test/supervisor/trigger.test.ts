import { chmodSync, existsSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { createConnection, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pino } from 'pino'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { triggerError } from '../../src/errors/trigger.js'
import { closeFd } from '../../src/os/fds.js'
import { stageUnixServer } from '../../src/os/unix-socket.js'
import { MAX_CLIENTS, openTrigger, type Trigger, type TriggerOptions } from '../../src/supervisor/trigger.js'
import { outcomeLine, parseRequest, rustDebug } from '../../src/supervisor/trigger-lines.js'
import { committed, FakeSupervisor, HANDOFF_ID, nobodyServes, rolledBack } from './fake-supervisor.js'

let dir: string
let path: string
let supervisor: FakeSupervisor
let trigger: Trigger | null = null
let endsAsked: string[] = []

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'handoff-trigger-'))
  path = join(dir, 't.sock')
  supervisor = new FakeSupervisor()
  endsAsked = []
})
afterEach(async () => {
  const closed = trigger?.close()
  await supervisor.stop()
  await closed
  trigger = null
  rmSync(dir, { recursive: true, force: true })
})

async function open(options: Partial<TriggerOptions> = {}): Promise<void> {
  trigger = await openTrigger({
    path,
    supervisor,
    binary: process.execPath,
    allowedBinaries: [],
    allowedUids: [],
    onEnd: (how) => {
      endsAsked.push(how)
    },
    log: pino({ level: 'silent' }),
    ...options,
  })
}

/** A client that can be watched line by line; `answer` resolves with all it got once the supervisor has closed. */
class Client {
  readonly socket: Socket
  readonly answer: Promise<string>
  text = ''

  constructor() {
    this.socket = createConnection(path)
    this.socket.setEncoding('utf8')
    this.answer = new Promise((resolve, reject) => {
      this.socket.on('data', (chunk) => {
        this.text += chunk
      })
      this.socket.on('end', () => resolve(this.text)).on('error', reject)
    })
  }

  lines(count: number): Promise<string[]> {
    return new Promise((resolve) => {
      const look = () => {
        const lines = this.text.split('\n').slice(0, -1)
        if (lines.length >= count) resolve(lines)
        else this.socket.once('data', look)
      }
      look()
    })
  }
}

function send(text: string): Client {
  const client = new Client()
  client.socket.write(text)
  return client
}

const executable = (name: string): string => {
  const file = join(dir, name)
  writeFileSync(file, '#!/bin/sh\n')
  chmodSync(file, 0o755)
  return file
}

describe('the reference’s line', () => {
  test('handoff → one line of outcome, then EOF', async () => {
    await open()
    const asked = supervisor.swapAsked()
    const client = send('handoff\n')
    await asked
    supervisor.finish(committed)
    expect(await client.answer).toBe(`ok: handoff_id=${HANDOFF_ID} committed=true abort_reason=None\n`)
    expect(supervisor.swaps).toEqual([{ binary: process.execPath }])
  })

  test('a client that closes its writing end at once still gets the outcome, with or without a newline', async () => {
    await open()
    for (const text of ['handoff\r\n', 'handoff']) {
      const asked = supervisor.swapAsked()
      const client = new Client()
      client.socket.end(text)
      await asked
      supervisor.finish(rolledBack)
      expect(await client.answer).toBe(
        `ok: handoff_id=${HANDOFF_ID} committed=false abort_reason=Some("the successor exited before it was ready")\n`,
      )
    }
  })

  test('when nobody serves the answer does not begin with ok (INV-12)', () => {
    expect(outcomeLine(nobodyServes)).toBe(`err: handoff_id=${HANDOFF_ID} nobody serves: the state could not be opened`)
  })

  test('a reason is quoted as Rust’s Debug quotes it', () => {
    expect(rustDebug('a "b" \\ \n\r\t\0 é 你 🙂 \u001b\u200b\u00a0 it’s \u0301')).toBe(
      '"a \\"b\\" \\\\ \\n\\r\\t\\0 é 你 🙂 \\u{1b}\\u{200b}\\u{a0} it’s \\u{301}"',
    )
    expect(outcomeLine({ ...rolledBack, reason: 'two\nlines' })).not.toContain('\n')
  })

  test.each([
    'hand',
    'HANDOFF',
    'handoff2',
    'status',
    '',
    ' ',
    '{"v":1}',
    '{"v":2,"cmd":"swap"}',
    '{',
    '{"v":1,"cmd":"x"}',
  ])('refuses %j', (line) => {
    expect(() => parseRequest(line)).toThrow(expect.objectContaining({ code: 'ERR_HANDOFF_USAGE_TRIGGER_COMMAND' }))
  })

  test('refuses surplus fields, and a binary where none belongs', () => {
    expect(() => parseRequest('{"v":1,"cmd":"swap","args":["x"]}')).toThrow(/is no command/)
    expect(() => parseRequest('{"v":1,"cmd":"status","binary":"/x"}')).toThrow(/is no command/)
    expect(() => parseRequest('{"v":1,"cmd":"swap","binary":7}')).toThrow(/is no command/)
  })

  test('an unknown command is answered, and nothing happens', async () => {
    await open()
    expect(await send('reboot\n').answer).toMatch(
      /^err: 'reboot' is no command; nothing was changed; send 'handoff'[^\n]*\n$/,
    )
    expect(supervisor.swaps).toEqual([])
  })

  test('a swap that could not begin is told with its reason in one line', async () => {
    await open()
    const asked = supervisor.swapAsked()
    const client = send('handoff\n')
    await asked
    supervisor.fail(new Error('no\nway'))
    expect(await client.answer).toBe('err: no way\n')
  })
})

describe('a named binary', () => {
  test('on the allow list: through any link, and handed on under the name as given', async () => {
    const v2 = executable('v2')
    const link = join(dir, 'current')
    symlinkSync('v2', link)
    await open({ allowedBinaries: [link] })
    for (const name of [v2, link]) {
      const asked = supervisor.swapAsked()
      const client = send(`handoff ${name}\n`)
      await asked
      supervisor.finish(committed)
      expect(await client.answer).toContain('committed=true')
    }
    expect(supervisor.swaps).toEqual([{ binary: v2 }, { binary: link }])
  })

  test('the configured one is always allowed, and a path may hold spaces', async () => {
    const spaced = executable('my daemon')
    await open({ binary: spaced })
    const asked = supervisor.swapAsked()
    const client = send(`handoff  ${spaced} \n`)
    await asked
    supervisor.finish(committed)
    await client.answer
    expect(supervisor.swaps).toEqual([{ binary: spaced }])
  })

  test('a link that was moved elsewhere after it was allowed is followed as it points now', async () => {
    const link = join(dir, 'current')
    executable('v2')
    const evil = executable('evil')
    symlinkSync('v2', link)
    await open({ allowedBinaries: [join(dir, 'v2')] })
    rmSync(link)
    symlinkSync('evil', link)
    const answer = await send(`handoff ${link}\n`).answer
    expect(answer).toContain(`err: the binary ${link} is not allowed (it leads to ${evil})`)
    expect(supervisor.swaps).toEqual([])
  })

  test('any other is refused, and the refusal names the key to add', async () => {
    const other = executable('other')
    await open()
    const answer = await send(`handoff ${other}\n`).answer
    expect(answer).toBe(
      `err: the binary ${other} is not allowed; nothing was changed; ` +
        `add "${other}" to allowed_binaries in handoff.toml and restart the supervisor\n`,
    )
  })

  test('one that is not there is refused before anything is touched', async () => {
    await open()
    expect(await send(`handoff ${dir}/none\n`).answer).toMatch(
      /^err: the binary '.*none' cannot be run: there is no such file/,
    )
  })
})

describe('many clients', () => {
  test('a second trigger during a swap is told so at once, and the first one’s swap goes on', async () => {
    await open()
    const asked = supervisor.swapAsked()
    const first = send('handoff\n')
    await asked
    supervisor.phase('draining', 12)
    expect(await send('handoff\n').answer).toMatch(
      new RegExp(`^err: a swap is already running \\(handoff_id=${HANDOFF_ID}, draining, for 12 ms\\); `),
    )
    supervisor.finish(committed)
    expect(await first.answer).toContain('committed=true')
    expect(supervisor.swaps).toHaveLength(1)
  })

  test('a client that says nothing keeps nobody waiting, and is sent away after its time (gap-30)', async () => {
    await open({ clientTimeoutMs: 200 })
    const silent = new Client()
    const trickling = send('hand')
    const asked = supervisor.swapAsked()
    const busy = send('handoff\n')
    await asked
    supervisor.finish(committed)
    expect(await busy.answer).toContain('committed=true')
    expect(await silent.answer).toMatch(/^err: no whole command arrived within 200 ms/)
    expect(await trickling.answer).toMatch(/^err: no whole command/)
  })

  test('a command above 4 KiB is refused, one of exactly 4 KiB is read', async () => {
    await open()
    expect(await send(`handoff ${'x'.repeat(4089)}\n`).answer).toMatch(/^err: the command is longer than 4096 bytes/)
    expect(await send('y'.repeat(4096 * 40)).answer).toMatch(/^err: the command is longer/)
    expect(await send(`${'z'.repeat(4096)}\n`).answer).toMatch(/^err: 'z+…' is no command/)
  })

  test('a client that leaves during its swap cancels nothing', async () => {
    await open()
    const asked = supervisor.swapAsked()
    const client = send('{"v":1,"cmd":"swap"}\n')
    await asked
    client.socket.destroy()
    supervisor.phase('draining', 10)
    supervisor.finish(committed)
    expect(await send('{"v":1,"cmd":"status"}\n').answer).toContain('"result":"committed"')
    expect(supervisor.subscribers).toBe(0)
  })

  test('above the bound the client that has been silent for longest is told so and goes; the newest is served', async () => {
    await open()
    const clients = Array.from({ length: MAX_CLIENTS }, () => new Client())
    await Promise.all(clients.map((client) => new Promise((resolve) => client.socket.once('connect', resolve))))
    const newest = send('{"v":1,"cmd":"status"}\n')
    expect(await newest.answer).toContain('"event":"status"')
    expect(await clients[0]?.answer).toMatch(/^err: 64 clients are connected/)
    for (const client of clients) client.socket.destroy()
  })

  test('whoever waits for an outcome is never the one that goes', async () => {
    await open()
    const asked = supervisor.swapAsked()
    const first = send('handoff\n')
    await asked
    const silent = Array.from({ length: MAX_CLIENTS + 8 }, () => new Client())
    await Promise.all(silent.map((client) => new Promise((resolve) => client.socket.once('connect', resolve))))
    supervisor.finish(committed)
    expect(await first.answer).toMatch(/^ok: /)
    for (const client of silent) client.socket.destroy()
  })
})

describe('JSON lines', () => {
  test('a swap tells each phase once, then the outcome', async () => {
    await open()
    const asked = supervisor.swapAsked()
    const client = send('{"v":1,"cmd":"swap"}\n')
    await asked
    supervisor.phase('draining', 5)
    supervisor.phase('draining', 6)
    supervisor.phase('sealing', 7)
    supervisor.finish(rolledBack)
    const events = (await client.answer)
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line))
    expect(events).toEqual([
      { v: 1, event: 'phase', handoffId: HANDOFF_ID, phase: 'negotiating', elapsedMs: 0, budgetMs: 60_000 },
      { v: 1, event: 'phase', handoffId: HANDOFF_ID, phase: 'draining', elapsedMs: 5, budgetMs: 60_000 },
      { v: 1, event: 'phase', handoffId: HANDOFF_ID, phase: 'sealing', elapsedMs: 7, budgetMs: 60_000 },
      { v: 1, event: 'outcome', outcome: rolledBack },
    ])
  })

  test('phases arrive while the swap runs', async () => {
    await open()
    const client = send('{"v":1,"cmd":"swap"}\n')
    expect((await client.lines(1))[0]).toContain('negotiating')
    supervisor.finish(committed)
    await client.answer
  })

  test('the status is one line', async () => {
    await open()
    expect(JSON.parse(await send('{"v":1,"cmd":"status"}\n').answer)).toEqual({
      v: 1,
      event: 'status',
      status: supervisor.current,
    })
  })

  test('a refusal keeps its code, and what is true, and the cure', async () => {
    await open()
    const asked = supervisor.swapAsked()
    const client = send('{"v":1,"cmd":"swap"}\n')
    await asked
    supervisor.fail(triggerError('ERR_HANDOFF_STATE_SWAP_RUNNING', ['id', 'draining', 3]))
    expect(JSON.parse((await client.lines(2))[1] as string)).toMatchObject({
      event: 'error',
      code: 'ERR_HANDOFF_STATE_SWAP_RUNNING',
      now: expect.stringContaining('goes on'),
      todo: expect.any(String),
    })
    expect(JSON.parse(await send('{"v":1,"cmd":"dance"}\n').answer)).toMatchObject({ event: 'error' })
  })

  test('stop and leave ask the process to end', async () => {
    await open()
    expect(JSON.parse(await send('{"v":1,"cmd":"stop"}\n').answer)).toEqual({ v: 1, event: 'stopping' })
    expect(JSON.parse(await send('{"v":1,"cmd":"leave"}\n').answer)).toEqual({ v: 1, event: 'stopping' })
    expect(endsAsked).toEqual(['stop', 'leave'])
  })
})

describe('who may', () => {
  test('root and the own user by the kernel’s word', async () => {
    await open()
    expect(await send('{"v":1,"cmd":"status"}\n').answer).toContain('"event":"status"')
  })

  test('a stranger is refused before it said a word, and the refusal names the key', async () => {
    await open({ uidOf: () => 54_321 })
    expect(await new Client().answer).toMatch(/^err: uid 54321 may not .* add the uid to allowed_uids/)
  })

  test('an allowed uid may swap, not stop', async () => {
    await open({ uidOf: () => 54_321, allowedUids: [54_321] })
    expect(await send('{"v":1,"cmd":"status"}\n').answer).toContain('"event":"status"')
    expect(await send('{"v":1,"cmd":"stop"}\n').answer).toContain('ERR_HANDOFF_USAGE_TRIGGER_OWNER_ONLY')
    expect(endsAsked).toEqual([])
  })

  test('the path is for the owner alone, unless other uids are allowed', async () => {
    await open()
    expect(statSync(path).mode & 0o777).toBe(0o600)
    await trigger?.close()
    await open({ allowedUids: [54_321] })
    expect(statSync(path).mode & 0o777).toBe(0o666)
  })
})

describe('the path', () => {
  test('appears when it answers and is gone after close, and so is nothing else', async () => {
    await open()
    await trigger?.close()
    expect(existsSync(path)).toBe(false)
    await open()
    expect(await send('x\n').answer).toContain('err:')
  })

  test('a living supervisor’s path is not taken', async () => {
    await open()
    const first = trigger
    await expect(open()).rejects.toThrow(expect.objectContaining({ code: 'ERR_HANDOFF_STATE_SUPERVISOR_RUNNING' }))
    trigger = first
    expect(await send('x\n').answer).toContain('err:')
  })

  test('a dead one’s is', async () => {
    const dead = stageUnixServer(path)
    dead.publish()
    closeFd(dead.fd)
    expect(existsSync(path)).toBe(true)
    await open()
    expect(await send('x\n').answer).toContain('err:')
  })

  test('another file is never replaced', async () => {
    writeFileSync(path, 'precious')
    await expect(open()).rejects.toThrow(/something else than a socket/)
  })

  test('close leaves a path that somebody else has put there since', async () => {
    await open()
    rmSync(path)
    writeFileSync(path, 'theirs')
    await trigger?.close()
    expect(existsSync(path)).toBe(true)
  })

  test('close answers whoever waits for a swap, and waits for nobody who never asked', async () => {
    await open()
    const idle = new Client()
    const asked = supervisor.swapAsked()
    const client = send('handoff\n')
    await asked
    const closed = trigger?.close()
    supervisor.finish(committed)
    expect(await client.answer).toContain('committed=true')
    client.socket.destroy()
    await idle.answer
    await closed
  })
})
