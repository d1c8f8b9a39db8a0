/** Where a listener of handoff.toml listens. */
import { isIP } from 'node:net'

export type ListenerAddr =
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | { readonly kind: 'unix'; readonly path: string }

/**
 * Reads `127.0.0.1:8080`, `[::1]:8080` or `unix:/run/app.sock`. Hosts are literal addresses, as in the reference: a name
 * may resolve differently tomorrow, and a listener is bound once.
 * @returns what is wrong with it as a string when it is none of these.
 */
export function parseListenerAddr(addr: string): ListenerAddr | string {
  if (addr.startsWith('unix:')) {
    const path = addr.slice('unix:'.length)
    return path === '' ? 'no path after "unix:"' : { kind: 'unix', path }
  }
  const match = /^(?:\[([^\]]*)\]|([^:[\]]*)):(\d{1,5})$/.exec(addr)
  if (match === null) return `'${addr}' is not host:port`
  const [, v6, v4, digits] = match
  const port = Number(digits)
  if (port > 65_535) return `port ${port} is above 65535`
  if (v6 !== undefined && isIP(v6) === 6) return { kind: 'tcp', host: v6, port }
  if (v4 !== undefined && isIP(v4) === 4) return { kind: 'tcp', host: v4, port }
  return `'${v6 ?? v4}' is not a literal IP address`
}
