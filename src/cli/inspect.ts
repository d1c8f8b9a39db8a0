/** `handoff inspect`: a page in the browser that shows every role live, or replays a trace. Works without a network. */
import { execFile } from 'node:child_process'
import { appendFileSync, existsSync, readFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { cliError } from '../errors/cli.js'
import { inspectSocket } from '../observe/inspect-target.js'
import { createLog } from '../observe/log.js'
import { openRelay, type Page, type Relay } from '../observe/relay.js'
import { loadConfig } from '../supervisor/config.js'
import { isHelp, readFlags, type Usage } from './args.js'
import { EXIT_CODES } from './exit-codes.js'
import type { Io } from './io.js'
import { STATELY_PAGE, STATELY_POLICY } from './stately-page.js'
import { DEFAULT_CONFIG } from './target.js'

const FLAGS = {
  config: {
    type: 'string',
    short: 'c',
    value: 'FILE',
    help: `take control_socket from it (default: ${DEFAULT_CONFIG})`,
  },
  'control-socket': { type: 'string', value: 'PATH', help: 'the control socket of what is to be looked at' },
  port: {
    type: 'string',
    short: 'p',
    value: 'N',
    help: 'loopback port of the page (default: 4747; 0 takes a free one)',
  },
  open: { type: 'boolean', help: 'open the page in the browser of this desktop' },
  trace: {
    type: 'string',
    short: 't',
    value: 'FILE',
    help: 'replay this trace instead; a name that ends in .ndjson needs no flag',
  },
  record: { type: 'string', short: 'r', value: 'FILE', help: 'write what is seen to a file that can be replayed' },
  json: { type: 'boolean', help: 'the addresses as one line of JSON' },
} as const

export const usage = {
  command: 'handoff inspect',
  summary: 'show supervisor, incumbent and successor live in a browser, or replay a trace.',
  flags: FLAGS,
  notes: [
    'Programs show themselves when they are started with --inspect, HANDOFF_INSPECT=1 or the option inspect: true.',
    'The page comes from this machine alone; it can be reached on the loopback interface with the printed token.',
    'Exit codes: 0 ended by a signal, 1 it could not listen, 64 usage.',
  ].join('\n'),
} as const satisfies Usage<typeof FLAGS>

const DEFAULT_PORT = 4747
/** Scripts and styles of the page itself, and the socket back here. Nothing else is loaded from anywhere. */
const PAGE_POLICY =
  "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:; connect-src 'self' ws:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

export async function run(argv: readonly string[], io: Io): Promise<number> {
  const files = argv.filter((word, i) => /\.ndjson$/.test(word) && !/^-/.test(word) && !/^-/.test(argv[i - 1] ?? ''))
  const flags = readFlags(
    usage,
    argv.filter((word) => !files.includes(word)),
  )
  if (isHelp(flags)) {
    io.out(flags.help)
    return EXIT_CODES.ok
  }
  const traces = [...files, ...(flags.trace === undefined ? [] : [flags.trace])]
  const { record } = flags
  const socketPath = traces.length > 0 ? undefined : inspectSocket(controlSocketOf(flags))
  const relay = await openRelay({
    port: portOf(flags.port),
    ...(socketPath === undefined ? {} : { socketPath }),
    pages: pagesFor(traces),
    log: createLog({ level: 'warn' }),
    ...(record === undefined ? {} : { onMessage: (text) => appendFileSync(record, `${text}\n`) }),
  })
  tell(relay, socketPath, flags.json === true, io)
  if (flags.open === true) openBrowser(relay.pageUrl)
  await new Promise<void>((end) => {
    const off = io.onSignal(['SIGINT', 'SIGTERM'], () => {
      off()
      end()
    })
  })
  await relay.close()
  return EXIT_CODES.ok
}

function tell({ pageUrl, produceUrl }: Relay, socket: string | undefined, json: boolean, io: Io): void {
  if (json) io.out(`${JSON.stringify({ pageUrl, produceUrl, socket: socket ?? null })}\n`)
  else {
    io.out(`${pageUrl}\n`)
    io.err(`  programs    ${socket ?? produceUrl}\n  end         Ctrl-C\n`)
  }
}

function controlSocketOf(flags: { readonly 'control-socket'?: string; readonly config?: string }): string {
  if (flags['control-socket'] !== undefined) return resolve(flags['control-socket'])
  if (flags.config !== undefined || existsSync(DEFAULT_CONFIG))
    return loadConfig(flags.config ?? DEFAULT_CONFIG).controlSocket
  throw cliError('ERR_HANDOFF_USAGE_FLAG', [
    `nothing is named to look at and there is no ./${DEFAULT_CONFIG}`,
    'give --config FILE, --control-socket PATH or a trace file',
  ])
}

function portOf(text: string | undefined): number {
  if (text === undefined) return DEFAULT_PORT
  if (/^\d{1,5}$/.test(text) && Number(text) <= 65_535) return Number(text)
  throw cliError('ERR_HANDOFF_USAGE_FLAG', [`--port ${text} is no port number`, 'give a number from 0 to 65535'])
}

/** @throws HandoffError ERR_HANDOFF_PAGE_MISSING, ERR_HANDOFF_USAGE_FLAG */
export function pagesFor(traces: readonly string[]): ReadonlyMap<string, Page> {
  const html = 'text/html; charset=utf-8'
  const pages = new Map<string, Page>([
    ['/', { contentType: html, body: readFileSync(pageFile()), secret: false, policy: PAGE_POLICY }],
    ['/stately', { contentType: html, body: STATELY_PAGE, secret: false, policy: STATELY_POLICY }],
  ])
  if (traces.length > 0) {
    pages.set('/trace', { contentType: 'application/x-ndjson', body: traces.map(readTrace).join('\n'), secret: true })
  }
  return pages
}

function readTrace(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    const why = (error as NodeJS.ErrnoException).code ?? String(error)
    throw cliError(
      'ERR_HANDOFF_USAGE_FLAG',
      [`the trace ${file} could not be read (${why})`, 'give a readable file'],
      error,
    )
  }
}

/** Built beside the program by `npm run build`. */
function pageFile(): string {
  for (let dir = dirname(fileURLToPath(import.meta.url)); dirname(dir) !== dir; dir = dirname(dir)) {
    const file = join(dir, 'dist', 'visualizations', 'page', 'index.html')
    if (existsSync(file)) return file
  }
  throw cliError('ERR_HANDOFF_PAGE_MISSING', [])
}

/** Without a shell; a desktop that has no such program is no error. */
function openBrowser(url: string): void {
  execFile(process.platform === 'darwin' ? 'open' : 'xdg-open', [url], () => {}).unref()
}
