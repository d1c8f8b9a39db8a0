import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { run } from '../../src/cli/watch.js'
import { committed, rolledBack } from '../supervisor/fake-supervisor.js'
import { FakeIo, type Scene, scene } from './support.js'

let io: FakeIo
let stage: Scene
beforeEach(async () => {
  io = new FakeIo()
  stage = await scene()
})
afterEach(() => stage.end())

const watching = async () => {
  const done = run(['--socket', stage.socket], io)
  await io.until(({ stdout }) => stdout.includes('pid 4211'))
  return done
}

describe('piped', () => {
  test('one line for each change, the outcome with its reason; Ctrl-C ends it with 0', async () => {
    const done = run(['--socket', stage.socket], io)
    await io.until(({ stdout }) => stdout.includes('pid 4211 serves'))
    stage.supervisor.phase('boot', 1)
    stage.supervisor.phase('boot', 2)
    stage.supervisor.phase('drain', 3)
    stage.supervisor.finish(rolledBack)
    await io.until(({ stdout }) => stdout.includes('rolled back'))
    io.signal('SIGINT')
    expect(await done).toBe(0)
    expect(
      io.stdout
        .trimEnd()
        .split('\n')
        .map((line) => line.slice(26)),
    ).toEqual([
      'pid 4211 serves  build v1',
      'swap 00112233  boot',
      'swap 00112233  drain',
      'pid 4211 serves  build v1  last swap 00112233 rolled back in 1.2 s  the successor exited before it was ready',
    ])
    // Its end reaches the supervisor in a turn of its own.
    while (stage.supervisor.subscribers > 0) await new Promise((resolve) => setImmediate(resolve))
  })

  test('a supervisor that ends is told by 69', async () => {
    const done = watching()
    await io.until(({ stdout }) => stdout.includes('pid 4211'))
    const ended = stage.end()
    expect(await done).toBe(69)
    await ended
    stage = await scene()
  })
})

describe('on a terminal', () => {
  test('one screen with the phases, cut to its size, and the terminal is given back', async () => {
    io.outIsTTY = true
    io.width = 40
    const done = run(['--socket', stage.socket], io)
    await io.until(({ stdout }) => stdout.includes('pid 4211'))
    expect(io.stdout.startsWith('\x1b[?1049h')).toBe(true)
    stage.supervisor.phase('boot', 1)
    stage.supervisor.phase('drain', 2)
    await io.until(({ stdout }) => /boot {8}.*drain/s.test(stdout))
    stage.supervisor.finish(committed)
    io.signal('SIGINT')
    await done
    // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what a terminal is told
    const lines = io.stdout.split(/\x1b\[H|\n/).map((line) => line.replace(/\x1b\[[?0-9]*[a-zA-Z]/g, ''))
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThan(40)
    expect(io.stdout.endsWith('\x1b[?25h\x1b[?1049l')).toBe(true)
  })
})
