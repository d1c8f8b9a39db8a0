/** Where metrics may be served; apart from what serves them, so that checking a config does not load an HTTP server. */
import { observeError } from '../errors/observe.js'
import { parseAddress } from '../os/listeners.js'

/**
 * Metrics name builds and reasons: they are for this machine, and a proxy of the operator's choice.
 * @throws HandoffError ERR_HANDOFF_USAGE_METRICS_ADDRESS, ERR_HANDOFF_USAGE_ADDRESS
 */
export function checkMetricsAddress(text: string) {
  const address = parseAddress(text)
  const isLocal = address.kind === 'unix' || address.host === '127.0.0.1' || address.host === '::1'
  if (!isLocal) throw observeError('ERR_HANDOFF_USAGE_METRICS_ADDRESS', [text])
  return address
}
