/** Real processes that speak in lines: broker, backend, clients. Each is ended by its own pid with the test. */
import { type ChildProcess, spawn } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { later } from './cleanup.js'
import { type Paths, pathsIn, privateDirectory } from './support.js'

const fixture = (name: string): string => fileURLToPath(new URL(`../fixtures/${name}`, import.meta.url))

export interface Talker {
  readonly pid: number
  readonly lines: string[]
  say(line: string): void
  /** The first line from now on, or already there and not yet taken, that matches. */
  hear(pattern: RegExp): Promise<string>
  kill(signal?: NodeJS.Signals): Promise<void>
}

export function talker(command: string, args: readonly string[], env: Record<string, string> = {}): Talker {
  const child: ChildProcess = spawn(command, args, {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: { ...process.env, ...env },
  })
  const lines: string[] = []
  const waiting: { pattern: RegExp; resolve: (line: string) => void; reject: (error: Error) => void }[] = []
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  createInterface({ input: child.stdout as NodeJS.ReadableStream }).on('line', (line) => {
    const at = waiting.findIndex(({ pattern }) => pattern.test(line))
    if (at >= 0) waiting.splice(at, 1)[0]?.resolve(line)
    else lines.push(line)
  })
  void ended.then(() => {
    for (const { pattern, reject } of waiting.splice(0)) reject(new Error(`${args.at(-1)} ended before ${pattern}`))
  })
  const kill = async (signal: NodeJS.Signals = 'SIGKILL'): Promise<void> => {
    if (child.exitCode === null && child.signalCode === null) child.kill(signal)
    await ended
  }
  later(kill)
  return {
    pid: child.pid as number,
    lines,
    say: (line) => void child.stdin?.write(`${line}\n`),
    hear(pattern) {
      const at = lines.findIndex((line) => pattern.test(line))
      if (at >= 0) return Promise.resolve(lines.splice(at, 1)[0] as string)
      return new Promise((resolve, reject) => waiting.push({ pattern, resolve, reject }))
    },
    kill,
  }
}

const fromSources = (name: string, ...args: string[]): Talker =>
  talker(process.execPath, ['--import', fixture('ts.mjs'), fixture(`broker/${name}.mjs`), ...args])

export interface Trio {
  readonly paths: Paths
  readonly directory: string
  readonly broker: Talker
  readonly backend: Talker
  readonly clients: Talker
  startBroker(): Promise<Talker>
  startBackend(mode: string): Promise<Talker>
  startClients(): Promise<Talker>
}

export interface ClientsResult {
  readonly routes: Record<string, number>
  readonly answers: Record<string, number>
  readonly failed: string[]
  readonly slowestMs: number
}

/** Backend and clients; somebody else runs the broker. */
export async function trioWithout(mode: string): Promise<Omit<Trio, 'broker' | 'startBroker'>> {
  const directory = privateDirectory()
  const paths = pathsIn(directory)
  const startBackend = async (how: string) => ready(fromSources('backend', paths.pipe, paths.handoff, how))
  const startClients = async () => ready(fromSources('clients', paths.broker))
  const [backend, clients] = await Promise.all([startBackend(mode), startClients()])
  return { paths, directory, backend, clients, startBackend, startClients }
}

/** `policy` in the words of broker.toml. */
export async function trio(
  mode: string,
  policy: Record<string, number> = {},
  breakage: readonly string[] = [],
): Promise<Trio> {
  const rest = await trioWithout(mode)
  const toml = join(rest.directory, 'broker.toml')
  writeFileSync(toml, brokerToml(rest.paths, policy))
  const startBroker = async () => ready(fromSources('broker', toml))
  const broker = await ready(fromSources('broker', toml, ...breakage))
  return { ...rest, broker, startBroker }
}

export function brokerToml(paths: Paths, policy: Record<string, number> = {}): string {
  const limits = Object.entries(policy).map(([key, value]) => `${key} = ${value}`)
  return [
    `socket = "${paths.broker}"`,
    `control_socket = "${paths.broker}-control"`,
    `data_dir = "${paths.broker}-data"`,
    '[services.kv]',
    'version = "1.0.0"',
    `backend = "${paths.pipe}"`,
    `handoff = "${paths.handoff}"`,
    '[policy]',
    ...limits,
    '',
  ].join('\n')
}

export async function ready(process: Talker): Promise<Talker> {
  await process.hear(/^ready$/)
  return process
}

export async function connectMany(
  clients: Talker,
  count: number,
  concurrent = 1,
  readyMs = 60_000,
): Promise<ClientsResult> {
  clients.say(`${count} ${concurrent} ${readyMs}`)
  return JSON.parse(await clients.hear(/^\{"routes/)) as ClientsResult
}

export async function openDescriptors(process: Talker): Promise<number> {
  process.say('fds')
  return Number((await process.hear(/^fds /)).slice(4))
}
