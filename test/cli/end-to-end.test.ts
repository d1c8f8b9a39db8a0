import { type ChildProcess, execFile, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { createConnection } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { SupervisorStatus, SwapOutcome } from '../../src/supervisor/types.js'

const source = (path: string) => fileURLToPath(new URL(`../../${path}`, import.meta.url))
const NODE = [process.execPath, '--import', source('test/fixtures/ts.mjs')] as const

/** A directory as an operator has it: releases, a link to the current one, a config with the reference's keys alone. */
const dir = mkdtempSync(join(tmpdir(), 'handoff-e2e-'))
const config = join(dir, 'handoff.toml')
const trigger = join(dir, 'trigger.sock')
const current = join(dir, 'releases/current')
let supervisor: ChildProcess
let story = ''

function release(name: string, flags: string): string {
  const program = join(dir, 'releases', name, 'kv')
  mkdirSync(join(program, '..'), { recursive: true })
  const node = NODE.map((word) => `'${word}'`).join(' ')
  writeFileSync(program, `#!/bin/sh\nexec ${node} '${source('examples/kv.ts')}' --build-id ${name} ${flags} "$@"\n`)
  chmodSync(program, 0o755)
  return program
}

function deploy(name: string): void {
  if (existsSync(current)) unlinkSync(current)
  symlinkSync(name, current)
}

interface Ran {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

const handoff = (...argv: string[]): Promise<Ran> =>
  new Promise((resolve) => {
    const [node, ...flags] = NODE
    execFile(node, [...flags, source('src/cli/handoff.ts'), ...argv], { cwd: dir }, (error, stdout, stderr) =>
      resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr }),
    )
  })

const hasSocat = spawnSync('socat', ['-V'], { stdio: 'ignore' }).status === 0

/** `echo <line> | socat …`, or what socat does where it is not installed: write, close that direction, read to the end. */
async function tell(line: string): Promise<string> {
  if (hasSocat) {
    const socat = execFile('socat', ['-t', '60', '-', `UNIX-CONNECT:${trigger}`])
    socat.stdin?.end(`${line}\n`)
    let said = ''
    for await (const chunk of socat.stdout ?? []) said += chunk
    return said
  }
  const socket = createConnection(trigger).setEncoding('utf8')
  socket.end(`${line}\n`)
  let answer = ''
  for await (const chunk of socket) answer += chunk
  return answer
}

const status = async (): Promise<SupervisorStatus> => JSON.parse((await handoff('status', '--json')).stdout)

async function request(method: string, path: string, body?: string): Promise<unknown> {
  const address = (await status()).listeners[0]?.address
  return (await fetch(`http://${address}${path}`, { method, ...(body === undefined ? {} : { body }) })).json()
}

beforeAll(async () => {
  release('v1', '')
  deploy('v1')
  writeFileSync(
    config,
    `control_socket = "${dir}/control.sock"
trigger_socket = "${trigger}"
binary = "${current}/kv"
args = ["--data-dir", "${dir}/data", "--control-socket", "${dir}/control.sock"]
env = [["KV_UNUSED", "1"]]
journal = "${dir}/journal"
drain_grace_secs = 5
deadline_secs = 30
allowed_uids = []
allowed_binaries = ["${dir}/releases/v3/kv"]
listeners = [{ name = "http", addr = "127.0.0.1:0" }]
`,
  )
  const [node, ...flags] = NODE
  supervisor = spawn(node, [...flags, source('src/cli/handoff-supervisor.ts'), '--config', config], {
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  supervisor.stderr?.setEncoding('utf8')
  await new Promise<void>((resolve, reject) => {
    supervisor.once('exit', (code) => reject(new Error(`the supervisor ended with ${code}:\n${story}`)))
    supervisor.stderr?.on('data', (chunk) => {
      story += chunk
      if (story.includes('ready for swaps')) resolve()
    })
  })
})

afterAll(async () => {
  if (supervisor.exitCode === null && supervisor.signalCode === null) {
    supervisor.kill('SIGTERM')
    await once(supervisor, 'exit')
  }
  rmSync(dir, { recursive: true, force: true })
})

describe('handoff-supervisor with the reference’s config', () => {
  test('starts a script with a shebang behind a link, which serves', async () => {
    expect(await status()).toMatchObject({ incumbent: { buildId: 'v1', generation: 1 }, swap: null, restarts: 0 })
    expect(await request('PUT', '/kv/a', '1')).toEqual({ revision: 1 })
  })

  test('the reference’s trigger line swaps to where the link leads now; nothing is lost', async () => {
    release('v2', '')
    deploy('v2')
    expect(await tell('handoff')).toMatch(/^ok: handoff_id=[0-9a-f-]{36} committed=true abort_reason=None\n$/)
    expect(await status()).toMatchObject({ incumbent: { buildId: 'v2', generation: 2 } })
    expect(await request('PUT', '/kv/a', '2')).toEqual({ revision: 2 })
  })

  test('a named binary: refused with the key to add, or swapped to when it is allowed', async () => {
    const other = release('other', '')
    expect(await tell(`handoff ${other}`)).toMatch(
      /^err: the binary .* add ".*other\/kv" to allowed_binaries in handoff\.toml/,
    )
    expect(await tell(`handoff ${release('v3', '')}`)).toContain('committed=true')
    expect((await status()).incumbent?.buildId).toBe('v3')
  })

  test('a build that dies is rolled back: exit 10, the truth, the code, and the incumbent serves on', async () => {
    release('v4', '--fault crash-before-ready')
    deploy('v4')
    const before = (await status()).incumbent
    const { code, stdout, stderr } = await handoff('swap', '--binary', join(current, 'kv'), '--json')
    expect(code).toBe(10)
    const outcome = JSON.parse(stdout) as SwapOutcome
    expect(outcome).toMatchObject({ result: 'rolledBack', incumbent: { pid: before?.pid, buildId: 'v3' } })
    expect(outcome.code).toMatch(/^ERR_HANDOFF_/)
    expect(stderr).toMatch(/^\w+ after .* of 30 s\n/)
    expect(await tell('handoff')).toMatch(/^ok: .* committed=false abort_reason=Some\(".+"\)\n$/)
    expect(await request('PUT', '/kv/a', '3')).toEqual({ revision: 3 })
  })

  test('the last swap stays to be asked for', async () => {
    const { code, stdout } = await handoff('status')
    expect(code).toBe(0)
    expect(stdout).toMatch(/^serving +pid \d+ {2}build v3 {2}generation 3 {2}since /)
    expect(stdout).toMatch(/\nlast swap +rolledBack /)
  })

  test('a second supervisor on the same config leaves the first alone: exit 75', async () => {
    const { code, stderr } = await handoff('supervise', '--config', config)
    expect(code).toBe(75)
    expect(stderr).toContain('a supervisor already answers')
    expect((await status()).incumbent?.buildId).toBe('v3')
  })

  test('SIGTERM stops both in order: exit 0, no socket, no process left', async () => {
    const pid = (await status()).incumbent?.pid as number
    supervisor.kill('SIGTERM')
    const [code] = await once(supervisor, 'exit')
    expect(code).toBe(0)
    expect(() => process.kill(pid, 0)).toThrow(expect.objectContaining({ code: 'ESRCH' }))
    expect(readdirSync(dir).filter((name) => name.includes('sock') || name.includes('staging'))).toEqual([])
    expect(await handoff('status')).toMatchObject({ code: 69 })
  })
})
