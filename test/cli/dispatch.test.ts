import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { COMMANDS } from '../../src/cli/commands.js'
import { run as dispatch } from '../../src/cli/dispatch.js'
import { EXIT_CODES, exitCodeOfError } from '../../src/cli/exit-codes.js'
import { duration, table } from '../../src/cli/format.js'
import { complaint, runGuarded } from '../../src/cli/main.js'
import { version } from '../../src/cli/version.js'
import { cliError } from '../../src/errors/cli.js'
import { FakeIo } from './support.js'

async function handoff(...argv: string[]) {
  const io = new FakeIo()
  const code = await runGuarded(dispatch, argv, io)
  return { code, out: io.stdout, err: io.stderr }
}

describe('finding the command', () => {
  test('help names every command, on stdout when asked for, on stderr when nothing was said', async () => {
    for (const asked of ['--help', '-h', 'help']) {
      const { code, out } = await handoff(asked)
      expect(code).toBe(0)
      for (const name of Object.keys(COMMANDS)) expect(out).toMatch(new RegExp(`^  ${name} `, 'm'))
    }
    const nothing = await handoff()
    expect(nothing).toMatchObject({ code: EXIT_CODES.usage, out: '' })
    expect(nothing.err).toContain('usage: handoff <command>')
  })

  test('every command explains itself, its flags and its exit codes, and does nothing else', async () => {
    for (const name of Object.keys(COMMANDS)) {
      const { code, out, err } = await handoff(name, '--help')
      expect({ code, err }).toEqual({ code: 0, err: '' })
      expect(out).toMatch(new RegExp(`^handoff ${name}: .+\\.\n`))
      expect(out).toMatch(/ --help .*this text\n/)
      expect(out).toContain('Exit codes: 0 ')
      expect((await handoff('help', name)).out).toBe(out)
    }
  })

  test('the version is the package’s', async () => {
    const file = new URL('../../package.json', import.meta.url)
    expect(await handoff('--version')).toMatchObject({
      code: 0,
      out: `${JSON.parse(readFileSync(file, 'utf8')).version}\n`,
    })
    expect(version()).toMatch(/^\d+\.\d+\.\d+/)
  })

  test.each([
    [['swpa'], "'swpa' is no command", "did you mean 'swap'?"],
    [['toString'], "'toString' is no command", 'use one of supervise, swap'],
    [['swap', '--sokcet', 'x'], 'handoff swap has no flag --sokcet', 'did you mean --socket?'],
    [['swap', '-z'], 'handoff swap has no flag -z', "see 'handoff swap --help'"],
    [['swap', '--socket'], "'-s, --socket <value>' argument missing", 'handoff swap --help'],
    [['swap', '--json=yes', '--socket', 'x'], "'--json' does not take an argument", 'handoff swap --help'],
    [['swap', '/path/to/v2'], "handoff swap takes flags only, not '/path/to/v2'", 'handoff swap --help'],
    [['swap', '--socket', 'a', '--config', 'b'], '--socket and --config name two targets', 'give one of them'],
    [['status'], 'no supervisor is named and there is no ./handoff.toml', 'give --socket PATH or --config FILE'],
    [['status', '--config', '/none.toml'], 'the config file /none.toml could not be read (ENOENT)', '--config'],
    [['supervise', '--config', '/none.toml'], 'the config file /none.toml could not be read (ENOENT)', '--config'],
    [['supervise', '--log-level', 'loud'], "'loud' is no log level", 'trace, debug, info'],
  ])('%j is a usage error with a hint and without a stack', async (argv, happened, todo) => {
    const { code, out, err } = await handoff(...argv)
    expect({ code, out }).toEqual({ code: EXIT_CODES.usage, out: '' })
    expect(err).toMatch(/^handoff: /)
    expect(err).toContain(happened)
    expect(err).toContain(todo)
    expect(err).not.toMatch(/\n\s+at /)
  })
})

describe('errors', () => {
  test('what is nobody’s fault but ours says so, and shows a stack only when asked', () => {
    const error = new TypeError('x is not a function')
    expect(complaint(error, false)).toBe(
      'handoff: a fault of its own: x is not a function\n  do   run it again with HANDOFF_LOG_LEVEL=debug and report what it prints\n',
    )
    expect(complaint(error, true)).toContain('    at ')
    expect(exitCodeOfError(error)).toBe(1)
    expect(exitCodeOfError(cliError('ERR_HANDOFF_SUPERVISOR_LOST', ['x']))).toBe(69)
  })
})

describe('numbers', () => {
  test.each([
    [0.4242, '0.42 ms'],
    [Math.PI, '3.1 ms'],
    [99.96, '100 ms'],
    [412.4, '412 ms'],
    [999.7, '1.0 s'],
    [3_140, '3.1 s'],
    [59_960, '1 min 0 s'],
    [125_000, '2 min 5 s'],
    [3_599_700, '1 h 0 min'],
    [11_000_000, '3 h 3 min'],
  ])('%f ms → %s', (ms, text) => expect(duration(ms)).toBe(text))

  test('columns align, without blanks at the end', () => {
    expect(
      table([
        ['a', 'bb', ''],
        ['ccc', 'd', 'e'],
      ]),
    ).toBe('a    bb\nccc  d   e')
  })
})

describe('as a process', () => {
  const program = fileURLToPath(new URL('../../src/cli/handoff.ts', import.meta.url))
  const loader = fileURLToPath(new URL('../fixtures/ts.mjs', import.meta.url))
  const start = (program_: string, argv: string[]) =>
    new Promise<{ code: unknown; stdout: string; stderr: string }>((resolve) => {
      execFile(process.execPath, ['--import', loader, program_, ...argv], (error, stdout, stderr) =>
        resolve({ code: error === null ? 0 : error.code, stdout, stderr }),
      )
    })

  test('exit codes and streams reach the shell', async () => {
    expect(await start(program, ['--version'])).toMatchObject({ code: 0, stdout: `${version()}\n`, stderr: '' })
    expect(await start(program, ['swap', '--socket', '/none'])).toMatchObject({
      code: 69,
      stdout: '',
      stderr: expect.stringContaining('/none (ENOENT)'),
    })
  })

  test('handoff-supervisor has the reference’s flag and refuses the rest', async () => {
    const supervisor = program.replace('handoff.ts', 'handoff-supervisor.ts')
    expect(await start(supervisor, ['--help'])).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('--config FILE'),
    })
    expect(await start(supervisor, ['--config', '/none.toml'])).toMatchObject({
      code: 64,
      stderr: expect.stringContaining('/none.toml could not be read (ENOENT)'),
    })
    expect(await start(supervisor, ['--port', '1'])).toMatchObject({ code: 64 })
  })

  test('a reader that has left is no error', async () => {
    const script = '{ "$0" --import "$1" "$2" --help; echo "code $?" >&2; } | true'
    const stderr = await new Promise<string>((resolve) => {
      execFile('/bin/sh', ['-c', script, process.execPath, loader, program], (_error, _stdout, text) => resolve(text))
    })
    expect(stderr).toBe('code 0\n')
  })
})
