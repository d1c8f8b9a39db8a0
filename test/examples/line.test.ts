import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pino } from 'pino'
import { expect, test } from 'vitest'
import { createSupervisor } from '../../src/supervisor/create-supervisor.js'
import { compiledProgram } from '../process/compiled.js'

test('a client of the line protocol keeps its name, its half line and its connection over swaps', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'line-'))
  const controlSocket = join(directory, 'control.sock')
  const supervisor = createSupervisor({
    controlSocket,
    binary: process.execPath,
    args: [compiledProgram('examples/line.js'), controlSocket, join(directory, 'data')],
    env: [['HANDOFF_LOG_LEVEL', 'silent']],
    listeners: [{ name: 'line', addr: '127.0.0.1:0' }],
    policy: {},
    allowedUids: [],
    allowedBinaries: [],
    log: pino({ level: 'silent' }),
  })
  try {
    await supervisor.start()
    const { listeners } = supervisor.status()
    const client = net.connect(Number(listeners[0]?.address.split(':').at(-1)), '127.0.0.1')
    const answer = async (): Promise<string[]> =>
      String((await once(client, 'data'))[0])
        .trim()
        .split(' ')
    client.write('name ada\n')
    await answer()
    client.write('add 4')
    for (let swap = 0; swap < 2; swap++) expect((await supervisor.swap()).result).toBe('committed')
    client.write('2\n')
    expect(await answer()).toEqual(['ada', '42', 'from', String(supervisor.status().incumbent?.pid)])
    client.destroy()
  } finally {
    await supervisor.stop()
    await rm(directory, { recursive: true, force: true })
  }
})
