/**
 * `npm run bench:peers`: the same load on other ways to replace a program, each beside itself without a reload. What is not
 * installed is named, with the way to install it. Never part of a test: what it needs is nobody's dependency. PM2 is found on
 * PATH, or by HANDOFF_BENCH_PM2. `--only` takes beginnings of names: `--only handoff,PM2`.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { isAlive } from '../../src/os/processes.js'
import { Line } from './gap/line.js'
import { loadRows } from './load.js'
import { type LoadResult, load } from './load-clients.js'
import { readCommandLine } from './options.js'
import { printTable } from './table.js'

interface Peer {
  readonly name: string
  readonly needs: string | null
  readonly install: string
  start(dir: string, port: number): Promise<Running>
}
interface Running {
  readonly port: number
  reload(): Promise<void>
  stop(): Promise<void>
}

const ANSWERING = `require('node:http').createServer((_, answer) => answer.end('ok'))`
/** How long an old worker of a peer may take to go, ms: part of the window, not of the figures. */
const RELOAD_MS = 1_000
/** How long anything of a peer's is waited for, ms, before it counts as broken. */
const PEER_MS = 20_000

async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + PEER_MS
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error(`in ${PEER_MS / 1000} s ${what} did not come about`)
    await sleep(10)
  }
}

const pm2 = process.env.HANDOFF_BENCH_PM2 ?? 'pm2'

const run = (command: string, ...args: string[]) => {
  const { status, stderr } = spawnSync(command, args, { encoding: 'utf8' })
  if (status !== 0) throw new Error(`${command} ${args.join(' ')}: ${stderr}`)
}

const PEERS: readonly Peer[] = [
  {
    name: 'Node cluster, rolling restart',
    needs: null,
    install: '',
    async start(dir, port) {
      const program = join(dir, 'cluster.cjs')
      writeFileSync(
        program,
        `const cluster = require('node:cluster')
if (cluster.isPrimary) {
  for (let i = 0; i < 2; i += 1) cluster.fork()
  process.on('SIGHUP', () => {
    for (const old of Object.values(cluster.workers)) cluster.fork().once('listening', () => old.disconnect())
  })
} else ${ANSWERING}.listen(${port}, '127.0.0.1')`,
      )
      const child = spawn(process.execPath, [program], { stdio: 'ignore' })
      return bySignal(child, port, 'SIGHUP')
    },
  },
  {
    name: 'PM2 reload',
    needs: pm2,
    install: 'npm install --prefix DIR pm2, then HANDOFF_BENCH_PM2=DIR/node_modules/.bin/pm2 npm run bench:peers',
    async start(dir, port) {
      const program = join(dir, 'server.cjs')
      writeFileSync(program, `${ANSWERING}.listen(${port}, '127.0.0.1')`)
      // Its daemon is our own, whatever else of it runs on this machine.
      process.env.PM2_HOME = join(dir, 'pm2')
      const stop = async () => run(pm2, 'kill')
      try {
        // More than one instance means its cluster mode, in which a reload replaces them in turn.
        run(pm2, 'start', program, '--name', 'bench', '-i', '2')
        await untilAnswers(port)
      } catch (error) {
        await stop()
        throw error
      }
      return {
        port,
        reload: async () => {
          const child = spawn(pm2, ['reload', 'bench'], { stdio: 'ignore' })
          const [status] = await once(child, 'exit')
          if (status !== 0) throw new Error(`pm2 reload: status ${status}`)
        },
        stop,
      }
    },
  },
  {
    name: 'nginx, USR2 and QUIT',
    needs: 'nginx',
    install: 'apt-get install nginx-light',
    async start(dir, port) {
      const config = join(dir, 'nginx.conf')
      const logs = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
        (kind) => `${kind}_temp_path ${dir}/${kind};`,
      )
      writeFileSync(
        config,
        `worker_processes 2; pid ${dir}/pid; error_log ${dir}/error; events {}
http { access_log off; ${logs.join(' ')} keepalive_requests 1000000;
server { listen 127.0.0.1:${port} backlog=4096; location / { return 200 ok; } } }`,
      )
      // It executes itself again by the name it was called by, and looks in no PATH.
      run(spawnSync('which', ['nginx'], { encoding: 'utf8' }).stdout.trim(), '-c', config)
      await untilAnswers(port)
      const pid = () => Number(readFileSync(join(dir, 'pid'), 'utf8'))
      return {
        port,
        async reload() {
          const old = pid()
          process.kill(old, 'SIGUSR2')
          // The new one writes its pid when it serves. A master that has not ended yet refuses the next USR2.
          await until("nginx's new master", () => existsSync(join(dir, 'pid')) && pid() !== old)
          process.kill(old, 'SIGQUIT')
          await until("the end of nginx's old master", () => !isAlive(old))
        },
        stop: async () => void process.kill(pid(), 'SIGTERM'),
      }
    },
  },
  {
    name: 'haproxy, master-worker reload',
    needs: 'haproxy',
    install: 'apt-get install haproxy',
    async start(dir, port) {
      const config = join(dir, 'haproxy.cfg')
      writeFileSync(
        config,
        `global
  stats socket ${dir}/stats level admin expose-fd listeners
defaults
  mode http
  timeout client 30s
  timeout connect 5s
  timeout server 30s
frontend bench
  bind 127.0.0.1:${port}
  http-request return status 200 content-type text/plain string ok
`,
      )
      const child = spawn('haproxy', ['-W', '-f', config], { stdio: 'ignore' })
      return bySignal(child, port, 'SIGUSR2')
    },
  },
]

async function bySignal(child: ChildProcess, port: number, signal: NodeJS.Signals): Promise<Running> {
  await untilAnswers(port)
  return {
    port,
    async reload() {
      child.kill(signal)
      await sleep(RELOAD_MS)
    },
    async stop() {
      const gone = new Promise((resolve) => child.once('exit', resolve))
      child.kill('SIGTERM')
      await gone
    },
  }
}

async function untilAnswers(port: number): Promise<void> {
  const answers = async () => (await fetch(`http://127.0.0.1:${port}/`)).ok
  await until(`an answer on port ${port}`, () => answers().catch(() => false))
}

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as { port: number }
  await new Promise((resolve) => server.close(resolve))
  return port
}

const options = readCommandLine(process.argv.slice(2))
const windows = Math.min(options.rounds, 3)

async function measure(name: string, running: Running): Promise<void> {
  const { requestsPerSecond, loadSeconds: seconds } = options
  const clients = { port: running.port, requestsPerSecond, seconds, writes: false, path: '/' }
  const results: { control: LoadResult[]; reload: LoadResult[] } = { control: [], reload: [] }
  for (let window = 0; window < windows; window += 1) {
    results.control.push(await load(clients, async () => {}))
    results.reload.push(await load(clients, () => running.reload()))
  }
  console.log()
  printTable(loadRows('peers', name, results.control, results.reload), (line) => console.log(line))
}

const isAsked = (name: string) => options.only.length === 0 || options.only.some((start) => name.startsWith(start))

async function measureOurs(name: string): Promise<void> {
  const tree = options.trees.ours
  const line = new Line({ tree, kind: 'ours', journal: true, program: 'examples/kv.js', probe: false })
  try {
    await line.start()
    await measure(name, { port: line.port, reload: () => line.swap(), stop: async () => {} })
    await line.stop()
  } finally {
    line.remove()
  }
}

const OURS = 'handoff, kv'
const known = [OURS, ...PEERS.map(({ name }) => name)]
for (const start of options.only) {
  if (known.some((name) => name.startsWith(start))) continue
  console.error(`no such peer: ${start}; there are ${known.join('; ')}`)
  process.exit(64)
}
if (isAsked(OURS)) await measureOurs(OURS)
for (const { name, needs, install, start } of PEERS.filter(({ name }) => isAsked(name))) {
  // Only looked for: pm2 starts a daemon whatever it is asked.
  if (needs !== null && spawnSync('sh', ['-c', 'command -v "$0"', needs], { stdio: 'ignore' }).status !== 0) {
    console.log(`\n${name}: not installed; ${install}`)
    continue
  }
  const dir = mkdtempSync(join(tmpdir(), 'b-'))
  const running = await start(dir, await freePort())
  try {
    await measure(name, running)
  } finally {
    await running.stop()
    rmSync(dir, { recursive: true, force: true })
  }
}
