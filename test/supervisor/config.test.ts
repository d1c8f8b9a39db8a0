import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  realpathSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, describe, expect, test } from 'vitest'
import { checkPolicy, LIMITS } from '../../machines/handoff/policy.js'
import type { HandoffError } from '../../src/errors/handoff-error.js'
import { realBinary, resolveBinary } from '../../src/supervisor/binary.js'
import { loadConfig, parseConfig } from '../../src/supervisor/config.js'
import { ALL_KEYS, LIMIT_KEYS } from '../../src/supervisor/config-keys.js'
import { tomlLines } from '../../src/supervisor/toml-lines.js'

const dir = realpathSync(mkdtempSync(join(tmpdir(), 'handoff-config-')))
afterAll(() => rmSync(dir, { recursive: true, force: true }))

const REQUIRED = 'control_socket = "/run/kv/c.sock"\ntrigger_socket = "/run/kv/t.sock"\nbinary = "/usr/bin/kv"\n'

function refusal(text: string): HandoffError {
  try {
    parseConfig(text, 'handoff.toml')
  } catch (error) {
    return error as HandoffError
  }
  throw new Error(`accepted:\n${text}`)
}

describe('the reference’s keys', () => {
  test('a full file of the reference is read as the reference reads it', () => {
    const config = parseConfig(
      `# the whole of it
control_socket = "/run/kv/control.sock"
trigger_socket = "/run/kv/trigger.sock"
binary = "/usr/local/bin/kv"
args = ["--data-dir", "/var/lib/kv"]
env = [["RUST_LOG", "info"], ["EMPTY", ""]]
journal = "/var/lib/kv/handoff.journal"
drain_grace_secs = 5
deadline_secs = 30
allowed_uids = [1000]
allowed_binaries = ["/usr/local/bin/kv-v2"]

[[listeners]]
name = "http"
addr = "0.0.0.0:8080"

[[listeners]]
name = "admin"
addr = "[::1]:0"
`,
      '/etc/kv/handoff.toml',
    )
    expect(config).toMatchObject({
      file: '/etc/kv/handoff.toml',
      controlSocket: '/run/kv/control.sock',
      triggerSocket: '/run/kv/trigger.sock',
      binary: '/usr/local/bin/kv',
      args: ['--data-dir', '/var/lib/kv'],
      env: [
        ['RUST_LOG', 'info'],
        ['EMPTY', ''],
      ],
      listeners: [
        { name: 'http', addr: '0.0.0.0:8080', backlog: 4096 },
        { name: 'admin', addr: '[::1]:0', backlog: 4096 },
      ],
      journal: '/var/lib/kv/handoff.journal',
      policy: { drainGraceMs: 5_000, deadlineMs: 30_000 },
      allowedUids: [1000],
      allowedBinaries: ['/usr/local/bin/kv-v2'],
    })
  })

  test('three keys are enough, and the rest has the reference’s defaults', () => {
    const config = parseConfig(REQUIRED, 'handoff.toml')
    expect(config).toMatchObject({ args: [], env: [], listeners: [], allowedUids: [], allowedBinaries: [] })
    expect(config.policy).toMatchObject({ drainGraceMs: 25_000, deadlineMs: 60_000, probationMs: 0 })
    expect(config).not.toHaveProperty('journal')
    expect(config).not.toHaveProperty('cwd')
  })

  test('the example’s file is one', () => {
    expect(loadConfig(fileURLToPath(new URL('../../examples/handoff.toml', import.meta.url))).listeners).toHaveLength(1)
  })

  test('relative paths start at the file’s directory; a bare binary name is left to PATH', () => {
    const config = parseConfig(
      'control_socket = "c.sock"\ntrigger_socket = "./t.sock"\nbinary = "kv"\nallowed_binaries = ["bin/v2", "node"]\n' +
        'journal = "../j"\ncwd = "."\nlisteners = [{ name = "u", addr = "unix:u.sock" }]',
      '/etc/kv/handoff.toml',
    )
    expect(config).toMatchObject({
      controlSocket: '/etc/kv/c.sock',
      triggerSocket: '/etc/kv/t.sock',
      binary: 'kv',
      allowedBinaries: ['/etc/kv/bin/v2', 'node'],
      journal: '/etc/j',
      cwd: '/etc/kv',
      listeners: [{ name: 'u', addr: 'unix:/etc/kv/u.sock' }],
    })
    expect(parseConfig(REQUIRED.replace('/usr/bin/kv', './kv'), '/etc/kv/handoff.toml').binary).toBe('/etc/kv/kv')
  })
})

describe('limits', () => {
  test('every limit of the file is one of the policy, is within its bounds by default, and can be set at both ends', () => {
    for (const { key, limit, scale } of LIMIT_KEYS) {
      expect(checkPolicy(parseConfig(REQUIRED, 'f').policy).problems).toEqual([])
      for (const end of [LIMITS[limit].min, LIMITS[limit].max]) {
        const companion = key === 'respawn_backoff_ms' ? 'respawn_backoff_max_secs = 86400\n' : ''
        const first = key === 'respawn_backoff_max_secs' ? 'respawn_backoff_ms = 1\n' : ''
        const config = parseConfig(`${REQUIRED}${companion}${first}${key} = ${end / scale}`, 'f')
        expect(config.policy[limit], `${key} = ${end / scale}`).toBe(end)
      }
    }
  })

  test('a number out of bounds is refused with the bounds, the unit and the reason', () => {
    for (const { key, limit, scale } of LIMIT_KEYS) {
      const error = refusal(`${REQUIRED}${key} = ${(LIMITS[limit].max + scale) / scale}`)
      expect(error.code).toBe('ERR_HANDOFF_USAGE_CONFIG_VALUE')
      expect(error.message).toContain(`handoff.toml:4: bad value for '${key}'`)
      expect(error.todo).toContain(` to ${LIMITS[limit].max / scale} `)
      expect(error.todo).toContain(LIMITS[limit].why)
    }
    expect(refusal(`${REQUIRED}deadline_secs = -1`).message).toContain('-1 is out of bounds')
    expect(refusal(`${REQUIRED}deadline_secs = "60"`).message).toContain('"60" is not a number')
    expect(refusal(`${REQUIRED}deadline_secs = nan`).message).toContain('out of bounds')
    expect(refusal(`${REQUIRED}crash_loop_limit = 2.5`).message).toContain('out of bounds')
    expect(refusal(`${REQUIRED}respawn_backoff_ms = 2000\nrespawn_backoff_max_secs = 1`).message).toContain('f.toml:5')
  })

  test('fractions of a second are fine', () => {
    expect(parseConfig(`${REQUIRED}deadline_secs = 0.25`, 'f').policy.deadlineMs).toBe(250)
  })
})

describe('one clear error: file, line, key, cure', () => {
  test.each([
    [
      'unknown key',
      `${REQUIRED}deadlin_secs = 3`,
      'handoff.toml:4',
      "unknown key 'deadlin_secs'",
      "write 'deadline_secs'",
    ],
    ['far-off key', `${REQUIRED}\n\nzzz = 3`, 'handoff.toml:6', "unknown key 'zzz'", 'use one of control_socket'],
    ['unknown table', `${REQUIRED}[server]\nport = 1`, 'handoff.toml:4', "unknown key 'server'", 'use one of'],
    ['__proto__', `${REQUIRED}__proto__ = 3`, 'handoff.toml:4', '__proto__', ''],
    ['no binary', 'control_socket = "a"\ntrigger_socket = "b"', 'handoff.toml:', "'binary' is required", 'add binary'],
    ['empty file', '', 'handoff.toml:', "'control_socket' is required", 'add control_socket'],
    ['wrong type', REQUIRED.replace('"/usr/bin/kv"', '7'), 'handoff.toml:3', '7 is not a string', 'an executable'],
    ['empty path', REQUIRED.replace('/usr/bin/kv', ''), 'handoff.toml:3', 'it is empty', 'an executable'],
    ['args', `${REQUIRED}args = [\n  "a",\n  7,\n]`, 'handoff.toml:6', "'args': 7 is not a string", 'array of strings'],
    ['args as text', `${REQUIRED}args = "a b"`, 'handoff.toml:4', '"a b" is not an array', 'an array of strings'],
    [
      'env as table',
      `${REQUIRED}env = { A = "1" }`,
      'handoff.toml:4',
      'a table is not an array',
      '[["NAME", "value"]]',
    ],
    ['env triple', `${REQUIRED}env = [["A", "1", "2"]]`, 'handoff.toml:4', 'array of 3 is not a pair', 'NAME'],
    ['env name', `${REQUIRED}env = [["A=B", "1"]]`, 'handoff.toml:4', '"A=B" is no variable name', 'NAME'],
    ['uid', `${REQUIRED}allowed_uids = [-1]`, 'handoff.toml:4', '-1 is no user id', 'user ids'],
    ['date', `${REQUIRED}binary2 = 1979-05-27`, 'handoff.toml:4', "unknown key 'binary2'", "'binary'"],
    ['syntax', `${REQUIRED}args = [`, 'handoff.toml:4', 'not valid TOML', 'correct that line'],
    ['twice the same key', `${REQUIRED}binary = "/b"`, 'handoff.toml:4', 'not valid TOML', ''],
    ['listener not a table', `${REQUIRED}listeners = ["http"]`, 'handoff.toml:4', '"http" is not a table', 'addr'],
  ])('%s', (_what, text, where, what, cure) => {
    const error = refusal(text)
    expect(error.name).toBe('HandoffError')
    expect(error.code).toMatch(/^ERR_HANDOFF_USAGE_CONFIG_/)
    expect(error.message).toContain(where)
    expect(error.message).toContain(what)
    expect(error.todo).toContain(cure)
    expect(error.now).toBe('nothing was started')
  })

  const listener = (lines: string) =>
    `${REQUIRED}[[listeners]]\nname = "http"\naddr = "127.0.0.1:80"\n[[listeners]]\n${lines}`
  test.each([
    ['same name', listener('addr = "127.0.0.1:81"\nname = "http"'), 9, 'already taken on line 5'],
    ['same address', listener('name = "b"\naddr = "127.0.0.1:80"'), 9, 'already taken on line 6'],
    ['colon in the name', listener('name = "a:b"\naddr = "127.0.0.1:81"'), 8, "'a:b' cannot name a listener"],
    ['empty name', listener('name = ""\naddr = "127.0.0.1:81"'), 8, 'cannot name a listener'],
    ['no address', listener('name = "b"'), 7, "'addr' is required"],
    ['host name', listener('name = "b"\naddr = "example.org:81"'), 9, 'not a numeric IP address'],
    ['v6 without brackets', listener('name = "b"\naddr = "::1:81"'), 9, 'is not an address to listen on'],
    ['port', listener('name = "b"\naddr = "127.0.0.1:65536"'), 9, 'above 65535'],
    ['backlog', listener('name = "b"\naddr = "127.0.0.1:81"\nbacklog = 0'), 10, '0'],
    ['unknown key', listener('name = "b"\naddr = "127.0.0.1:81"\nreuse = true'), 10, "unknown key 'reuse'"],
  ])('listener: %s', (_what, text, line, what) => {
    const error = refusal(text)
    expect(error.message).toContain(`handoff.toml:${line}: `)
    expect(error.message).toContain(what)
  })

  test('two listeners on port 0 are two different ports', () => {
    const text = `${REQUIRED}listeners = [{name = "a", addr = "127.0.0.1:0"}, {name = "b", addr = "127.0.0.1:0"}]`
    expect(parseConfig(text, 'f').listeners).toHaveLength(2)
  })

  test('a socket path the kernel would cut is refused before anything is bound', () => {
    const error = refusal(REQUIRED.replace('/run/kv/c.sock', `/run/${'x'.repeat(100)}`))
    expect(error.message).toMatch(
      /handoff.toml:1: bad value for 'control_socket': the path has 105 bytes, the kernel takes 103 here/,
    )
  })

  test('a missing file names itself and keeps the errno exception as the cause', () => {
    const path = join(dir, 'none.toml')
    expect(() => loadConfig(path)).toThrow(
      expect.objectContaining({
        code: 'ERR_HANDOFF_USAGE_CONFIG_UNREADABLE',
        message: expect.stringContaining(`${path} could not be read (ENOENT)`),
        cause: expect.objectContaining({ code: 'ENOENT' }),
      }),
    )
  })

  test('every key of the table is accepted somewhere', () => {
    for (const key of ALL_KEYS) expect(refusal(`${REQUIRED}${key}x = 1`).todo).toContain(`'${key}'`)
  })
})

describe('lines of keys', () => {
  test('strings, comments, inline tables, arrays of tables and dotted keys', () => {
    const lines = tomlLines(`# a = 1
a = "x # = [" # "
b = """
c = 1
"quoted\\""""""
d = ['''
]''', { e = [1,
  2], "f g".h = 'i' }]
[t.u]
v = 1979-05-27T07:32:00Z
[[w]]
x = 1
[[w]]
  [w.y]
  z = -1.5e3
`)
    expect(Object.fromEntries(lines)).toEqual({
      a: 2,
      b: 3,
      d: 6,
      'd.0': 6,
      'd.1': 7,
      'd.1.e': 7,
      'd.1.e.0': 7,
      'd.1.e.1': 8,
      'd.1.f g': 8,
      'd.1.f g.h': 8,
      't.u': 9,
      't.u.v': 10,
      w: 11,
      'w.0': 11,
      'w.0.x': 12,
      'w.1': 13,
      'w.1.y': 14,
      'w.1.y.z': 15,
    })
  })
})

describe('the binary', () => {
  const executable = (name: string, text: string) => {
    const path = join(dir, name)
    mkdirSync(join(path, '..'), { recursive: true })
    writeFileSync(path, text)
    chmodSync(path, 0o755)
    return path
  }

  test('a link that was moved is followed as it points now, and the release directory is pinned', () => {
    executable('releases/1/kv', '#!/bin/sh\n')
    executable('releases/2/kv', '#!/bin/sh\n')
    const current = join(dir, 'releases/current')
    symlinkSync('1', current)
    expect(resolveBinary(join(current, 'kv'))).toEqual({
      exec: join(dir, 'releases/1/kv'),
      real: join(dir, 'releases/1/kv'),
    })
    unlinkSync(current)
    symlinkSync('2', current)
    expect(resolveBinary(join(current, 'kv')).exec).toBe(join(dir, 'releases/2/kv'))
  })

  test('a program that looks at its own name keeps it', () => {
    const real = executable('multi/box', '#!/bin/sh\n')
    symlinkSync('box', join(dir, 'multi/applet'))
    expect(resolveBinary(join(dir, 'multi/applet'))).toEqual({ exec: join(dir, 'multi/applet'), real })
  })

  test('a bare name is looked up on PATH, past files that are not executable', () => {
    mkdirSync(join(dir, 'p1'))
    writeFileSync(join(dir, 'p1/tool'), '')
    const second = executable('p2/tool', '#!/bin/sh\n')
    expect(resolveBinary('tool', `${dir}/p0:${dir}/p1:${dir}/p2`).real).toBe(second)
    expect(() => resolveBinary('no-such-tool', dir)).toThrow(/'no-such-tool' cannot be run: no directory of PATH/)
  })

  test('what cannot be run is refused with its cure', () => {
    const plain = join(dir, 'plain')
    writeFileSync(plain, '')
    const lost = executable('lost', '#!/no/such/interpreter -x\n')
    symlinkSync('nowhere', join(dir, 'dangling'))
    expect(() => resolveBinary(plain)).toThrow(/not executable.*chmod \+x/)
    expect(() => resolveBinary(dir)).toThrow(/not a regular file/)
    expect(() => resolveBinary(join(dir, 'dangling'))).toThrow(/no such file/)
    expect(() => resolveBinary(lost)).toThrow(/interpreter \/no\/such\/interpreter, which is not there/)
    expect(realBinary(plain)).toBeNull()
  })

  test('an interpreter with arguments and a native program are fine', () => {
    expect(resolveBinary(executable('sh-e', '#! /bin/sh -e\n')).real).toBe(join(dir, 'sh-e'))
    expect(resolveBinary(process.execPath).real).toBe(realpathSync(process.execPath))
  })
})
