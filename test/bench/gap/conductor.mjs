/** A supervisor that swaps when told over IPC: `{ swap: id }` is answered with `{ id, outcome }`, `{ stop: true }` ends it. */
const { createSupervisor } = await import(`${process.env.HANDOFF_COMPILED}/dist/src/supervisor/index.js`)
const { createLog } = await import(`${process.env.HANDOFF_COMPILED}/dist/src/observe/log.js`)

const { controlSocket, journal, args } = JSON.parse(process.argv[2])
const supervisor = createSupervisor({
  controlSocket,
  binary: process.execPath,
  args,
  env: [],
  listeners: [{ name: 'http', addr: '127.0.0.1:0' }],
  ...(journal && { journal }),
  policy: {},
  allowedUids: [],
  allowedBinaries: [],
  log: createLog({ format: 'json' }),
})

process.on('message', async ({ swap, stop }) => {
  if (stop) {
    await supervisor.stop()
    process.disconnect()
    return
  }
  const { result, reason } = await supervisor.swap()
  process.send({ id: swap, result, reason })
})
// The benchmark is gone: nothing of it stays.
process.on('disconnect', () => void supervisor.stop())
await supervisor.start()
process.send({ ready: true, port: Number(supervisor.status().listeners[0].address.split(':').at(-1)) })
