/** Clients under a swap, beside the same clients in the same daemon without one. */
import { Line } from './gap/line.js'
import { type LoadResult, load } from './load-clients.js'
import type { BenchOptions } from './options.js'
import { quantile, type Row, row } from './table.js'

/** Windows of load; with more rounds this takes minutes and shows the same. */
const MAX_WINDOWS = 5

const MEASURES = {
  'p50, ms': ({ latencies }) => quantile(latencies, 0.5),
  'p99, ms': ({ latencies }) => quantile(latencies, 0.99),
  'p99.9, ms': ({ latencies }) => quantile(latencies, 0.999),
  'max, ms': ({ latencies }) => Math.max(...latencies),
  'longest stall, ms': ({ longestStall }) => longestStall,
  'answered, requests': ({ latencies }) => latencies.length,
  'lost, requests': ({ lost }) => lost,
  'idle closed, connections': ({ closed }) => closed,
  'SYN retransmissions, segments': ({ synRetransmits }) => synRetransmits,
  'queue overflows, connections': ({ listenOverflows }) => listenOverflows,
} satisfies Record<string, (result: LoadResult) => number>

export function loadRows(bench: string, what: string, base: readonly LoadResult[], ours: readonly LoadResult[]): Row[] {
  return Object.entries(MEASURES).map(([name, measure]) => {
    const [measured = '', unit = ''] = name.split(', ')
    return row(bench, `${what}: ${measured}`, unit, { base: base.map(measure), ours: ours.map(measure) })
  })
}

export async function benchLoad({ trees, rounds, loadSeconds, requestsPerSecond }: BenchOptions): Promise<Row[]> {
  const line = new Line({ tree: trees.ours, kind: 'ours', journal: true, program: 'examples/kv.js', probe: false })
  const results = { control: [] as LoadResult[], swap: [] as LoadResult[] }
  try {
    await line.start()
    const options = { port: line.port, requestsPerSecond, seconds: loadSeconds, writes: true, path: '/' }
    // Connections, code and disk of both windows are warm then.
    await load({ ...options, seconds: Math.min(1, loadSeconds) }, () => line.swap())
    for (let window = 0; window < Math.min(rounds, MAX_WINDOWS); window += 1) {
      results.control.push(await load(options, async () => {}))
      results.swap.push(await load(options, () => line.swap()))
    }
    await line.stop()
  } finally {
    line.remove()
  }
  const what = `kv, ${requestsPerSecond}/s for ${loadSeconds} s with a swap`
  return loadRows('load', what, results.control, results.swap)
}
