import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { bindListener } from '../../../src/os/listeners.js'
import { torture } from './torture.js'

const CLIENTS = 60
/** Binaries to hop through in turn, colon-separated, e.g. one of each supported Node version. */
const NODES = process.env.HANDOFF_TEST_NODES?.split(':') ?? [process.execPath]
const fixture = (name: string): string => fileURLToPath(new URL(`../../fixtures/${name}`, import.meta.url))

let dir: string
let generations = 0
const living = new Set<ChildProcess>()

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'handoff-move-'))
})
afterEach(async () => {
  for (const child of living) {
    child.kill('SIGKILL')
    await once(child, 'exit')
  }
  rmSync(dir, { recursive: true })
})

class Generation {
  readonly path = join(dir, `${++generations}.fds`)
  readonly #child: ChildProcess

  constructor(listenerFd: number, predecessor: Generation | null) {
    const child = fork(fixture('attach/mover.mjs'), [this.path, predecessor?.path ?? ''], {
      execPath: NODES[generations % NODES.length] as string,
      execArgv: ['--import', fixture('ts.mjs')],
      stdio: ['ignore', 'inherit', 'inherit', listenerFd, 'ipc'],
    })
    this.#child = child
    living.add(child)
    child.once('exit', () => living.delete(child))
  }

  static async start(listenerFd: number, predecessor: Generation | null): Promise<Generation> {
    const generation = new Generation(listenerFd, predecessor)
    await generation.#heard('started')
    return generation
  }

  async do(step: string, input: object = {}): Promise<Record<string, unknown>> {
    const heard = this.#heard(step)
    this.#child.send({ step, ...input })
    return await heard
  }

  async end(how: 'exit' | 'SIGKILL'): Promise<void> {
    const exited = once(this.#child, 'exit')
    if (how === 'exit') this.#child.send({ step: 'exit' })
    else this.#child.kill(how)
    await exited
  }

  async #heard(step: string): Promise<Record<string, unknown>> {
    const listening = new AbortController()
    const exited = once(this.#child, 'exit', listening).then(() =>
      Promise.reject(new Error(`it ended in step ${step}`)),
    )
    try {
      for (;;) {
        const [message] = await Promise.race([once(this.#child, 'message', listening), exited])
        if (message.error !== undefined) throw new Error(`${step}: ${message.error}`)
        if (message.step === step) return message
      }
    } finally {
      exited.catch(() => {})
      listening.abort()
    }
  }
}

test('connections under every shape of traffic hop through processes, also when a successor is killed after the cut', async () => {
  const bound = bindListener({ name: 'http', address: '127.0.0.1:0' })
  let old = await Generation.start(bound.fd, null)
  await old.do('serve')
  const load = await torture(CLIENTS, (bound.address as { port: number }).port)
  await load.more(500)
  for (let hop = 0; hop < 2 * NODES.length + 4; hop++) {
    const next = await Generation.start(bound.fd, old)
    await Promise.all([old.do('copy'), next.do('pull')])
    await load.more(200)
    const cut = await old.do('cut')
    expect(cut).toMatchObject({ moved: CLIENTS, staying: [], drained: { openConnections: CLIENTS, inFlight: 0 } })
    if (hop % 3 === 1) {
      await next.end('SIGKILL')
      await old.do('resume')
    } else {
      expect(await next.do('live', { counter: cut.counter })).toMatchObject({ live: CLIENTS })
      if (hop % 3 === 2) expect(await old.do('letGo')).toEqual({ step: 'letGo', idleClosed: 0, withUnread: 0 })
      await old.end('exit')
      old = next
    }
    await load.more(300)
    expect(load.problems).toEqual([])
  }
  await load.stop()
  expect(load.problems).toEqual([])
  // Each request applied once: the counter that travels from process to process has no gap and no repeat.
  expect([...load.counts].sort((a, b) => a - b)).toEqual(load.counts.map((_, index) => index + 1))
  await old.end('exit')
  bound.close()
})
