import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { pino } from 'pino'
import { type Browser, chromium, type Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { pagesFor } from '../../src/cli/inspect.js'
import { openRelay, type Relay } from '../../src/observe/relay.js'
import { createSupervisor } from '../../src/supervisor/create-supervisor.js'
import type { Supervisor } from '../../src/supervisor/types.js'
import { buildPage } from '../../visualizations/page/build.js'
import { compiledProgram } from '../process/compiled.js'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))
/** With RECORD_SCREENSHOTS=1 the pictures become the recorded set; otherwise they are artefacts of this run. */
const PICTURES =
  process.env.RECORD_SCREENSHOTS === '1' ? join(ROOT, 'visualizations/screenshots') : join(ROOT, 'artefacts')
const log = pino({ level: 'silent' })

/** A browser, a supervisor and swaps on a busy machine: how long they take says something about that machine alone. */
const PATIENCE_MS = 300_000
vi.setConfig({ testTimeout: PATIENCE_MS, hookTimeout: PATIENCE_MS })

let dir: string
let relay: Relay
let supervisor: Supervisor
let browser: Browser
let page: Page
const seen: string[] = []
const loaded: string[] = []
const broken: string[] = []

const control = () => join(dir, 'c.sock')
const kv = (build: string, fault = '') => [
  compiledProgram('examples/kv.js'),
  ...['--data-dir', join(dir, 'data'), '--control-socket', control(), '--build-id', build, '--fault', fault],
]

function supervise(build: string): Supervisor {
  return createSupervisor({
    controlSocket: control(),
    binary: process.execPath,
    args: kv(build),
    env: [['HANDOFF_LOG_LEVEL', 'silent']],
    listeners: [{ name: 'http', addr: '127.0.0.1:0' }],
    policy: { deadlineMs: 20_000 },
    allowedUids: [],
    allowedBinaries: [],
    log,
    inspect: true,
  })
}

function chromiumPath(): string {
  const found = spawnSync(
    'sh',
    ['-c', 'command -v chromium || command -v chromium-browser || command -v google-chrome'],
    {
      encoding: 'utf8',
    },
  ).stdout.trim()
  if (found === '') throw new Error('no Chromium: apt-get install chromium (.ci/run does)')
  return found
}

// biome-ignore lint/performance/useDomNodeTextContent: Playwright’s locator, and what a person sees
const text = (selector: string) => page.locator(selector).innerText()
const shows = (selector: string, wanted: RegExp) => page.locator(selector).filter({ hasText: wanted }).first().waitFor()
/** What was asked for is on the screen. */
const drawn = () =>
  page.evaluate('new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(1))))')
const picture = (name: string) => page.screenshot({ path: join(PICTURES, `${name}.png`) })

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'page-'))
  mkdirSync(PICTURES, { recursive: true })
  const html = await buildPage()
  const pages = new Map([['/', { contentType: 'text/html', body: html, secret: false }]])
  relay = await openRelay({
    port: 0,
    socketPath: `${control()}.inspect`,
    pages,
    log,
    onMessage: (line) => seen.push(line),
  })
  browser = await chromium.launch({ executablePath: chromiumPath(), args: ['--no-sandbox'] })
  page = await browser.newPage({ viewport: { width: 1600, height: 950 }, colorScheme: 'light' })
  page.setDefaultTimeout(PATIENCE_MS)
  page.on('request', (request) => loaded.push(request.url()))
  page.on('pageerror', (error) => broken.push(error.message))
  await page.goto(relay.pageUrl)
  supervisor = supervise('v1')
  await supervisor.start()
})

afterAll(async () => {
  await supervisor.stop()
  await browser.close()
  await relay.close()
  rmSync(dir, { recursive: true, force: true })
})

describe('the page during real swaps', () => {
  test('before any swap it says who serves', async () => {
    await shows('#story', /pid \d+ serves/)
    await shows('[data-id="INV-01"]', /held by pid/)
    expect(await text('#link')).toBe('connected')
  })

  test('a good swap: messages in their order, both machines move, the new process serves, every lamp is green', async () => {
    const { incumbent } = await supervisor.swap({ args: kv('v2') })
    await shows('#story', new RegExp(`pid ${incumbent?.pid} serves; the last swap was committed`))
    const said = (await text('#sequence')).split('\n')
    const order = ['Hello', 'PrepareHandoff', 'Drained', 'SealRequest', 'SealComplete', 'Begin', 'Ready', 'Commit']
    expect(said.filter((word) => order.includes(word)).filter((word, i, all) => all.indexOf(word) === i)).toEqual(order)
    expect(await page.locator('.lamp[data-state="good"]').count()).toBe(5)
    // biome-ignore lint/performance/useDomNodeTextContent: Playwright’s locator, and what a person sees
    expect(await page.locator('.panel[aria-label^="Successor"] .chip.active').innerText()).toBe('live')
    await picture('good-swap')
  })

  test('a rollback: the old process serves on, and the page says what became of the new one', async () => {
    const before = supervisor.status().incumbent?.pid
    await supervisor.swap({ args: kv('v3', 'crash-before-ready') })
    await shows('#story', new RegExp(`pid ${before} serves; the last swap was rolled back`))
    expect(await text('#sequence')).toMatch(/process ended[\s\S]*ResumeAfterAbort/)
    expect(await text('#timeline')).toMatch(/rolled back[\s\S]*committed/)
    await picture('rollback')
  })

  test('the supervisor goes and another comes: service is seen to go on', async () => {
    const before = supervisor.status().incumbent?.pid
    await supervisor.leave()
    await shows('[data-id="INV-07"]', /gone; service goes on without it/)
    await shows('[data-id="INV-04"]', new RegExp(`served by pid ${before}`))
    await picture('supervisor-gone')
    supervisor = supervise('v2')
    await supervisor.start()
    await shows('[data-id="INV-07"]', /watches/)
    expect(supervisor.status().incumbent?.pid).toBe(before)
    await picture('supervisor-restart')
  })

  test('one chart large shows arrows with their events, and timers count down', async () => {
    await page.keyboard.press('3')
    await page.locator('.large .edge.next').first().waitFor({ state: 'attached' })
    await page.keyboard.press('Escape')
    await page.keyboard.press('1')
    await page.locator('.large .clock').first().waitFor()
    await page.locator('.large .edge').first().waitFor({ state: 'attached' })
    await picture('one-chart')
    await page.keyboard.press('Escape')
  })

  test('steps go both ways and arrive where they began', async () => {
    const where = async () => {
      await drawn()
      return text('#where')
    }
    await page.keyboard.press('Home')
    expect(await where()).toBe('')
    for (let i = 0; i < 40; i += 1) await page.keyboard.press('ArrowRight')
    const there = await where()
    for (let i = 0; i < 15; i += 1) await page.keyboard.press('ArrowLeft')
    expect(await where()).not.toBe(there)
    for (let i = 0; i < 15; i += 1) await page.keyboard.press('ArrowRight')
    expect(await where()).toBe(there)
    await page.keyboard.press('End')
    await shows('#story', /serves/)
  })

  test('it is dark where the person wants it dark', async () => {
    await page.keyboard.press('t')
    expect(await page.locator('html').getAttribute('data-theme')).toBe('dark')
    await picture('dark')
  })

  test('a recording is replayed from a file, without a relay', async () => {
    const file = join(dir, 'seen.ndjson')
    writeFileSync(file, seen.join('\n'))
    await page.setInputFiles('#file', file)
    await shows('#link', /seen\.ndjson/)
    expect(await page.locator('.swap').count()).toBe(2)
    expect(await text('#where')).toMatch(new RegExp(`${seen.length} of ${seen.length}`))
  })

  test('nothing was loaded from anywhere else, and nothing broke', () => {
    expect(loaded.filter((url) => !url.startsWith(`http://127.0.0.1:${relay.port}/`))).toEqual([])
    expect(broken).toEqual([])
  })
})

test('handoff inspect prints the page’s address and ends in order', async () => {
  const built = compiledProgram('visualizations/page')
  if (!existsSync(join(built, 'index.html'))) writeFileSync(join(built, 'index.html'), await buildPage())
  const config = join(dir, 'handoff.toml')
  writeFileSync(config, `control_socket = "${dir}/x.sock"\ntrigger_socket = "${dir}/t.sock"\nbinary = "node"\n`)
  const cli = compiledProgram('src/cli/handoff.js')
  const child = spawn(process.execPath, [cli, 'inspect', '--config', config, '--port', '0', '--json'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const [line] = await once(child.stdout.setEncoding('utf8'), 'data')
  const told = JSON.parse(line) as { pageUrl: string; socket: string }
  expect(told.socket).toBe(`${dir}/x.sock.inspect`)
  const answer = await fetch(told.pageUrl)
  expect(answer.headers.get('content-security-policy')).toContain("default-src 'none'")
  expect(await answer.text()).toBe(readFileSync(join(built, 'index.html'), 'utf8'))
  child.kill('SIGINT')
  expect(await once(child, 'exit')).toEqual([0, null])
  expect(existsSync(told.socket)).toBe(false)
  expect(() => pagesFor([join(dir, 'none.ndjson')])).toThrow(/could not be read|was not built/)
})
