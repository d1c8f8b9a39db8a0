/** The command line of the key-value daemon. What it does not understand ends the process with status 64 (EX_USAGE). */
import { parseArgs } from 'node:util'
import { type Faults, parseFaults } from './kv-faults.js'

const USAGE = `usage: kv --data-dir D --control-socket S [--port P] [--host H] [--build-id B] [--fault F,…]
  --data-dir        where the data and its lock live
  --control-socket  where a supervisor finds this daemon
  --port            needed unless a listener named 'http' is inherited; 0 lets the kernel choose
  --host            default 127.0.0.1
  --build-id        default v1
  --warm-up         requests answered before it takes over, default 5000; the variable KV_WARM_UP does the same
  --fault           misbehave on purpose; the variable KV_FAULT does the same`

export interface KvOptions {
  readonly dataDir: string
  readonly controlSocket: string
  readonly host: string
  readonly port: number
  readonly buildId: string
  readonly warmUp: number
  readonly faults: Faults
}

export function readOptions(args: string[], env: NodeJS.ProcessEnv): KvOptions {
  try {
    return parse(args, env)
  } catch (error) {
    console.error(`kv: ${error instanceof Error ? error.message : error}\n${USAGE}`)
    process.exit(64)
  }
}

function parse(args: string[], env: NodeJS.ProcessEnv): KvOptions {
  const { values } = parseArgs({
    args,
    options: {
      'data-dir': { type: 'string' },
      'control-socket': { type: 'string' },
      port: { type: 'string' },
      host: { type: 'string', default: '127.0.0.1' },
      'build-id': { type: 'string', default: 'v1' },
      'warm-up': { type: 'string', default: env.KV_WARM_UP || '5000' },
      fault: { type: 'string', default: '' },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) {
    console.log(USAGE)
    process.exit(0)
  }
  const { 'data-dir': dataDir, 'control-socket': controlSocket, host, port, 'build-id': buildId } = values
  if (!dataDir || !controlSocket) throw new Error('--data-dir and --control-socket are needed')
  const faults = parseFaults(`${env.KV_FAULT ?? ''},${values.fault}`)
  return {
    dataDir,
    controlSocket,
    host,
    port: portNumber(port, env),
    buildId,
    warmUp: wholeNumber('warm-up', values['warm-up']),
    faults,
  }
}

function wholeNumber(name: string, text: string): number {
  if (/^\d{1,7}$/.test(text)) return Number(text)
  throw new Error(`--${name} ${text} is no number from 0 to 9999999`)
}

function portNumber(port: string | undefined, env: NodeJS.ProcessEnv): number {
  if (port === undefined) {
    if ((env.LISTEN_FDNAMES ?? '').split(':').includes('http')) return 0
    throw new Error("--port is needed: no listener named 'http' is inherited")
  }
  if (/^\d{1,5}$/.test(port) && Number(port) <= 65_535) return Number(port)
  throw new Error(`--port ${port} is no port number`)
}
