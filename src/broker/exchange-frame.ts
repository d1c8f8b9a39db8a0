/** One frame there, one frame back, and the end of the connection. */
import { connect } from 'node:net'
import { reasonOf } from '../os/errno.js'
import { FrameDecoder } from '../wire/broker/framing.js'

export interface ExchangeOptions {
  /** The whole exchange, **ms**. */
  readonly timeoutMs: number
  /** Longest answer, **bytes**. */
  readonly maxBytes: number
  readonly signal?: AbortSignal
}

/** Body of the answer. @throws what `fail` makes of the reason */
export function exchangeFrame(
  path: string,
  request: Buffer,
  fail: (reason: string, cause?: unknown) => Error,
  { timeoutMs, maxBytes, signal }: ExchangeOptions,
): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const decoder = new FrameDecoder(maxBytes)
    const socket = connect(path, () => socket.write(request))
    const end = (settle: () => void) => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', onAbort)
      socket.destroy()
      settle()
    }
    const failed = (reason: string, cause?: unknown) => end(() => reject(fail(reason, cause)))
    const onAbort = () => failed('its caller gave up', signal?.reason)
    const timer = setTimeout(() => failed(`no answer within ${timeoutMs} ms`), timeoutMs)
    signal?.addEventListener('abort', onAbort, { once: true })
    if (signal?.aborted) onAbort()
    socket.on('error', (error) => failed(reasonOf(error), error))
    socket.on('end', () => failed('it ended the connection'))
    socket.on('data', (chunk) => {
      try {
        decoder.push(chunk)
        const body = decoder.next()
        if (body !== null) end(() => resolve(body))
      } catch (error) {
        failed(reasonOf(error), error)
      }
    })
  })
}
