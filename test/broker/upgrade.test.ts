/** The broker handed off while clients come in: both protocols of this package in one process (W10). */
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { pino } from 'pino'
import { expect, test } from 'vitest'
import { createSupervisor } from '../../src/supervisor/create-supervisor.js'
import { compiledCopy, compiledProgram } from '../process/compiled.js'
import { later } from './cleanup.js'
import { brokerToml, connectMany, type Talker, trioWithout } from './processes.js'

async function supervisedBroker() {
  const { paths, directory, backend, clients } = await trioWithout('plain')
  const config = join(directory, 'broker.toml')
  mkdirSync(join(directory, 'data'))
  writeFileSync(config, brokerToml(paths, { hello_rate_limit: 1_000_000 }))
  const supervisor = createSupervisor({
    controlSocket: `${paths.broker}-control`,
    binary: process.execPath,
    args: [compiledProgram('src/cli/handoff.js'), 'broker', '--config', config, '--log-level', 'silent'],
    env: [['HANDOFF_COMPILED', compiledCopy()]],
    listeners: [{ name: 'clients', addr: `unix:${paths.broker}` }],
    policy: {},
    allowedUids: [],
    allowedBinaries: [],
    cwd: dirname(config),
    log: pino({ level: 'silent' }),
  })
  later(() => supervisor.stop())
  await supervisor.start()
  return { supervisor, clients, backend, paths }
}

/** Connects without a pause until told to stop. */
function keepConnecting(clients: Talker) {
  let going = true
  const total = { handlePassed: 0, failed: [] as string[], other: [] as string[] }
  const done = (async () => {
    while (going) {
      const { routes, failed } = await connectMany(clients, 40, 8)
      total.handlePassed += routes.handlePassed ?? 0
      total.failed.push(...failed)
      total.other.push(...Object.keys(routes).filter((route) => route !== 'handlePassed'))
    }
  })()
  return {
    async stop() {
      going = false
      await done
      return total
    },
  }
}

test('W10 a broker is replaced three times while clients come in: no Hello is refused, no handoff fails', async () => {
  const { supervisor, clients } = await supervisedBroker()
  const load = keepConnecting(clients)
  const pids = new Set<number | undefined>()
  for (let round = 0; round < 3; round++) {
    const { result, code, incumbent } = await supervisor.swap()
    expect({ result, code }).toEqual({ result: 'committed', code: null })
    pids.add(incumbent?.pid)
  }
  const { handlePassed, failed, other } = await load.stop()
  expect({ failed, other }).toEqual({ failed: [], other: [] })
  expect(handlePassed).toBeGreaterThan(0)
  expect(pids.size).toBe(3)
})

test('W10 a broker that dies is started again on the same socket, and clients wait instead of being refused', async () => {
  const { supervisor, clients } = await supervisedBroker()
  expect(await connectMany(clients, 5)).toMatchObject({ routes: { handlePassed: 5 }, failed: [] })
  process.kill(supervisor.status().incumbent?.pid as number, 'SIGKILL')
  // The socket never closes: whoever comes now stands in its queue until the next broker accepts.
  expect(await connectMany(clients, 5)).toMatchObject({ routes: { handlePassed: 5 }, failed: [] })
})
