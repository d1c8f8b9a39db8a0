/** HTTP/1.1 by hand on a bare socket, so that a test sees every FIN, reset and header as the wire has it. */
import net from 'node:net'
import tls from 'node:tls'

export interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

export interface RawClient {
  readonly socket: net.Socket
  /** How the other end has closed, if it has. */
  readonly ended: 'open' | 'fin' | 'reset'
  /** Answers received and not yet taken. */
  readonly waiting: number
  send(text: string): void
  get(path?: string): void
  /** The next answer. Rejects when the connection ends first. */
  answer(): Promise<Answer>
  /** Resolves with how the connection ended. */
  end(): Promise<'fin' | 'reset'>
  close(): void
}

export const GET = (path = '/'): string => `GET ${path} HTTP/1.1\r\nHost: test\r\n\r\n`

export function connectRaw(to: { port: number; secure?: boolean } | { path: string }): Promise<RawClient> {
  return new Promise((resolve, reject) => {
    const secure = 'secure' in to && to.secure === true
    const socket = secure
      ? tls.connect({ port: to.port, host: '127.0.0.1', rejectUnauthorized: false })
      : 'port' in to
        ? net.connect(to.port, '127.0.0.1')
        : net.connect(to.path)
    socket.once('error', reject)
    socket.once(secure ? 'secureConnect' : 'connect', () => {
      socket.off('error', reject)
      resolve(follow(socket))
    })
  })
}

export const connectMany = (count: number, to: { port: number }): Promise<RawClient[]> =>
  Promise.all(Array.from({ length: count }, () => connectRaw(to)))

function follow(socket: net.Socket): RawClient {
  let buffered = Buffer.alloc(0)
  let ended: RawClient['ended'] = 'open'
  const answers: Answer[] = []
  const takers: { resolve: (answer: Answer) => void; reject: (error: Error) => void }[] = []
  const enders: ((how: 'fin' | 'reset') => void)[] = []
  const finish = (how: 'fin' | 'reset'): void => {
    if (ended !== 'open') return
    ended = how
    for (const taker of takers.splice(0)) taker.reject(new Error(`connection ended (${how}) before the answer`))
    for (const ender of enders.splice(0)) ender(how)
  }
  socket.on('data', (chunk: Buffer) => {
    buffered = Buffer.concat([buffered, chunk])
    for (let parsed = parse(buffered); parsed !== null; parsed = parse(buffered)) {
      buffered = buffered.subarray(parsed.length)
      const taker = takers.shift()
      if (taker === undefined) answers.push(parsed.answer)
      else taker.resolve(parsed.answer)
    }
  })
  socket.on('end', () => finish('fin'))
  socket.on('error', () => finish('reset'))
  socket.on('close', () => finish('fin'))
  return {
    socket,
    get ended() {
      return ended
    },
    get waiting() {
      return answers.length
    },
    send: (text) => void socket.write(text),
    get: (path) => void socket.write(GET(path)),
    answer: () =>
      new Promise((resolve, reject) => {
        const ready = answers.shift()
        if (ready !== undefined) resolve(ready)
        else if (ended !== 'open') reject(new Error(`connection had ended (${ended})`))
        else takers.push({ resolve, reject })
      }),
    end: () =>
      new Promise((resolve) => {
        if (ended !== 'open') resolve(ended)
        else enders.push(resolve)
      }),
    close: () => socket.destroy(),
  }
}

function parse(bytes: Buffer): { answer: Answer; length: number } | null {
  const headEnd = bytes.indexOf('\r\n\r\n')
  if (headEnd < 0) return null
  const [statusLine = '', ...lines] = bytes.subarray(0, headEnd).toString('latin1').split('\r\n')
  const status = Number(statusLine.split(' ')[1])
  const headers: Record<string, string> = {}
  for (const line of lines) {
    const colon = line.indexOf(':')
    headers[line.slice(0, colon).toLowerCase()] = line.slice(colon + 1).trim()
  }
  const start = headEnd + 4
  if (status === 100 || status === 101) return { answer: { status, headers, body: '' }, length: start }
  if (headers['transfer-encoding'] === 'chunked') return parseChunked(bytes, start, status, headers)
  const length = Number(headers['content-length'] ?? 0)
  if (bytes.length < start + length) return null
  return {
    answer: { status, headers, body: bytes.subarray(start, start + length).toString('latin1') },
    length: start + length,
  }
}

function parseChunked(bytes: Buffer, start: number, status: number, headers: Record<string, string>) {
  let at = start
  let body = ''
  for (;;) {
    const lineEnd = bytes.indexOf('\r\n', at)
    if (lineEnd < 0) return null
    const size = Number.parseInt(bytes.subarray(at, lineEnd).toString('latin1'), 16)
    const next = lineEnd + 2 + size + 2
    if (bytes.length < next) return null
    if (size === 0) return { answer: { status, headers, body }, length: next }
    body += bytes.subarray(lineEnd + 2, next - 2).toString('latin1')
    at = next
  }
}
