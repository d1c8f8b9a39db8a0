/** Who may talk to a relay: a page that we served ourselves, with the token; or our own user over the Unix socket. */
import { timingSafeEqual } from 'node:crypto'
import type { IncomingMessage } from 'node:http'

export type Door = 'produce' | 'watch'

export interface GuardOptions {
  readonly port: number
  readonly token: string
}

export type Verdict =
  | { readonly ok: true; readonly door: Door }
  | { readonly ok: false; readonly status: 400 | 403 | 404 }

/** For the loopback address. A foreign page can reach it, so that neither Host nor Origin may be missing or foreign. */
export function judgeLoopback(request: IncomingMessage, { port, token }: GuardOptions): Verdict {
  const url = parse(request)
  if (url === null) return { ok: false, status: 400 }
  const hosts = [`127.0.0.1:${port}`, `localhost:${port}`, `[::1]:${port}`]
  // A name that resolves to 127.0.0.1 (DNS rebinding) comes with that name.
  if (!hosts.includes(request.headers.host ?? '')) return { ok: false, status: 403 }
  const { origin } = request.headers
  if (origin !== undefined && !hosts.some((host) => origin === `http://${host}`)) return { ok: false, status: 403 }
  if (!sameToken(url.searchParams.get('token') ?? '', token)) return { ok: false, status: 403 }
  return doorOf(url)
}

/** For the Unix socket: its mode and the peer's uid have decided. No browser comes this way. */
export function judgeLocal(request: IncomingMessage): Verdict {
  const url = parse(request)
  if (url === null) return { ok: false, status: 400 }
  return request.headers.origin === undefined ? doorOf(url) : { ok: false, status: 403 }
}

const DOORS: readonly string[] = ['produce', 'watch'] satisfies Door[]

function doorOf({ pathname }: URL): Verdict {
  const name = pathname.slice(1)
  return DOORS.includes(name) ? { ok: true, door: name as Door } : { ok: false, status: 404 }
}

function parse({ url }: IncomingMessage): URL | null {
  return URL.canParse(url ?? '', 'http://localhost') ? new URL(url ?? '', 'http://localhost') : null
}

function sameToken(given: string, token: string): boolean {
  const [a, b] = [Buffer.from(given), Buffer.from(token)]
  return a.length === b.length && timingSafeEqual(a, b)
}
