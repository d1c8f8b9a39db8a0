/** The broker as a person starts it, the example service and the example client, compiled, each in its own process. */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { readBrokerConfig } from '../../src/broker/broker-config.js'
import { compiledProgram } from '../process/compiled.js'
import { ready, talker } from './processes.js'
import { privateDirectory } from './support.js'

const node = (program: string, ...args: string[]) => talker(process.execPath, [compiledProgram(program), ...args])

test('handoff broker --config: the example client is adopted by the example service, which greets first', async () => {
  const directory = privateDirectory()
  mkdirSync(join(directory, 'run'), { mode: 0o700 })
  const config = join(directory, 'broker.toml')
  const toml = readFileSync(new URL('../../examples/broker.toml', import.meta.url), 'utf8')
  writeFileSync(config, toml)
  const { socket, services } = readBrokerConfig(toml, config)
  const echo = services.echo as { backendPipe: string; handoffEndpoint: string }
  await ready(node('examples/broker-backend.js', echo.backendPipe, echo.handoffEndpoint))
  const broker = node('src/cli/handoff.js', 'broker', '--config', config, '--log-level', 'silent')

  // The broker says nothing on stdout. Once its socket is there, a client may come: it waits in the queue if need be.
  while (!existsSync(socket)) await new Promise((resolve) => setTimeout(resolve, 5))
  const client = node('examples/broker-client.js', socket)
  expect(await client.hear(/next time/)).toBe(`handlePassed; next time ${echo.backendPipe} would do`)
  expect(await client.hear(/adopted$/)).toMatch(/^\d+ adopted$/)
  expect(await client.hear(/^bye$/)).toBe('bye')
  await broker.kill('SIGTERM')
})

test('handoff broker --help tells its flags; a config that is wrong is told by key', () => {
  const run = (...args: string[]) =>
    spawnSync(process.execPath, [compiledProgram('src/cli/handoff.js'), 'broker', ...args], { encoding: 'utf8' })
  const help = run('--help')
  expect([help.status, help.stdout]).toEqual([0, expect.stringContaining('--config FILE')])
  const config = join(privateDirectory(), 'broker.toml')
  writeFileSync(config, 'sokcet = "x"\n')
  const wrong = run('--config', config)
  expect([wrong.status, wrong.stdout]).toEqual([64, ''])
  expect(wrong.stderr).toContain("unknown key 'sokcet'")
  expect(wrong.stderr).toContain("did you mean 'socket'?")
})
