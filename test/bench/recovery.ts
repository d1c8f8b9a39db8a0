/**
 * The way back, as a client feels it: from the kill of a successor to the old program's next answer, and from the start of
 * a supervisor to its word that it has adopted the living program. Whole processes, Node's own start included.
 */
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { ARMED } from '../../src/observe/pause.js'
import { Rig, tryKill, until } from '../supervisor/rig.js'
import type { BenchOptions } from './options.js'
import { quantile, type Row } from './table.js'

export async function benchRecovery({ rounds }: Pick<BenchOptions, 'rounds'>): Promise<Row[]> {
  return [
    ...rows('successor killed as it opens: to the next answer', await inTurn(rounds, backFromSuccessorsDeath)),
    ...rows('supervisor killed: from the new one’s start to adopted', await inTurn(rounds, adoption)),
  ]
}

/** A request that waits in the listener's queue is answered as soon as the incumbent accepts again. */
async function backFromSuccessorsDeath(rig: Rig, round: number): Promise<number> {
  const pauses = join(rig.dir, 'pauses')
  const { pid } = await rig.get()
  writeFileSync(join(pauses, ARMED), JSON.stringify({ machine: 'successor', state: 'taking.staging', notPid: pid }))
  rig.build(`r${round}`)
  const { ended } = await rig.beginSwap()
  const claimed = await until(() => readdirSync(pauses).find((name) => name.startsWith('paused-')))
  const answered = rig.get()
  const killedAt = performance.now()
  tryKill(Number(claimed.slice('paused-'.length)), 'SIGKILL')
  const who = (await answered).pid
  const ms = performance.now() - killedAt
  if (who !== pid) throw new Error(`${who} answered, not the incumbent ${pid}`)
  await ended
  rmSync(join(pauses, claimed))
  return ms
}

async function adoption(rig: Rig): Promise<number> {
  const before = await rig.served()
  await rig.killSupervisor()
  const startedAt = performance.now()
  await rig.start({ wait: false })
  const status = await until(async () => {
    const now = await rig.status().catch(() => null)
    return now?.incumbent ? now : null
  })
  const ms = performance.now() - startedAt
  if (status.incumbent?.pid !== before.incumbent?.pid) throw new Error('another program was started')
  return ms
}

async function inTurn(rounds: number, once: (rig: Rig, round: number) => Promise<number>): Promise<number[]> {
  const rig = await Rig.create()
  try {
    const pauses = join(rig.dir, 'pauses')
    mkdirSync(pauses)
    rig.env = { HANDOFF_PAUSE: pauses }
    await rig.start()
    const samples: number[] = []
    for (let round = 0; round < rounds; round++) samples.push(await once(rig, round))
    return samples
  } finally {
    await rig.end()
  }
}

const rows = (what: string, samples: readonly number[]): Row[] =>
  [0.5, 0.99].map((q) => ({
    bench: 'recovery',
    what: `${what}, p${q * 100}`,
    unit: 'ms',
    base: null,
    before: null,
    ours: quantile(samples, q),
    rounds: samples.length,
  }))
