import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, test, vi } from 'vitest'
import { askHello } from '../../src/channel/ask-hello.js'
import { native } from '../../src/os/native.js'

const { Writer } = native

afterEach(() => {
  vi.useRealTimers()
  Object.assign(native, { Writer })
})

test('a look whose channel cannot be made rejects, and leaves no timer that would fire without it', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'a-'))
  const server = createServer().listen(join(dir, 's'))
  await once(server, 'listening')
  Object.assign(native, {
    Writer: class {
      constructor() {
        throw new Error('no descriptor is left')
      }
    },
  })
  vi.useFakeTimers({ toFake: ['setTimeout'] })
  await expect(askHello(join(dir, 's'), { timeoutMs: 20 })).rejects.toThrow('no descriptor is left')
  expect(vi.getTimerCount()).toBe(0)
  vi.useRealTimers()
  server.close()
  rmSync(dir, { recursive: true })
})
