/** The life of a supervisor process: look, open the trigger, start, serve swaps, stop in order. */
import { mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import { configError } from '../errors/config.js'
import type { Logger } from '../observe/log.js'
import { createLog } from '../observe/log.js'
import type { MetricsServer } from '../observe/metrics-server.js'
import { type InheritedListener, inheritedListeners } from '../os/inherited.js'
import { formatAddress } from '../os/listeners.js'
import { reapOrphans } from '../os/orphans.js'
import { type SystemdNotify, systemdNotify } from '../os/systemd-notify.js'
import { resolveBinary } from '../supervisor/binary.js'
import { loadConfig, type SupervisorConfig } from '../supervisor/config.js'
import { openTrigger, type Trigger } from '../supervisor/trigger.js'
import type { Supervisor, SupervisorOptions, SwapOutcome } from '../supervisor/types.js'
import { collectWhenQuiet } from './collect-when-quiet.js'
import { EXIT_CODES } from './exit-codes.js'
import { outcomeReport } from './format.js'
import type { Io, StopSignal } from './io.js'
import { statusLine, tellSystemd } from './tell-systemd.js'

/** Where a supervisor comes from; loaded late, so that a mistyped flag is told at once. */
export type SupervisorDoor = () => Promise<(options: SupervisorOptions) => Supervisor>

export const realDoor: SupervisorDoor = async () =>
  (await import('../supervisor/create-supervisor.js')).createSupervisor

export interface RunOptions {
  readonly config: string
  readonly json: boolean
  readonly logLevel: string | undefined
}

/** @returns the exit code, once everything has ended. @throws HandoffError before anything was started. */
export async function runSupervisor(options: RunOptions, io: Io, door: SupervisorDoor): Promise<number> {
  const log = createLog({
    level: options.logLevel,
    format: options.json ? 'json' : undefined,
    base: { role: 'supervisor' },
  })
  const config = loadConfig(options.config)
  resolveBinary(config.binary) // looked up again at each start; this only tells a typo before anything is bound
  makeDirectories(config)
  const systemd = await systemdNotify(io.env as NodeJS.ProcessEnv)
  const inherited = inheritedListeners(io.env as NodeJS.ProcessEnv)
  const supervisor = (await door())(supervisorOptions(config, inherited, log))
  const reaper = process.pid === 1 ? beInit(log) : null
  try {
    return await new Run(supervisor, config, inherited, systemd, options, io, log).live()
  } finally {
    reaper?.stop()
  }
}

/** Orphans of the program are ours then; and when we end, however it happens, the kernel ends all the rest. */
function beInit(log: Logger): { stop(): void } {
  log.warn(
    'this is PID 1: orphans are reaped, but with this process the kernel ends the program too; better run it under an init',
  )
  return reapOrphans((pid) => log.info({ orphanPid: pid }, 'an orphan was reaped'))
}

/** Under /run and /tmp they are gone after each boot. Only the owner gets in, unless the config names others. */
function makeDirectories({ controlSocket, triggerSocket, journal, allowedUids, file }: SupervisorConfig): void {
  const mode = allowedUids.length > 0 ? 0o755 : 0o700
  for (const path of [controlSocket, triggerSocket, ...(journal === undefined ? [] : [journal])]) {
    try {
      mkdirSync(dirname(path), { recursive: true, mode })
    } catch (error) {
      const why = (error as NodeJS.ErrnoException).code ?? String(error)
      throw configError('ERR_HANDOFF_USAGE_CONFIG_DIRECTORY', [file, dirname(path), why], error)
    }
  }
}

/** A socket of the socket unit is a listener, whether the config file names it or not; where it does, the socket wins. */
function supervisorOptions(
  config: SupervisorConfig,
  inherited: readonly InheritedListener[],
  log: Logger,
): SupervisorOptions {
  const { file: _file, triggerSocket: _trigger, metrics: _metrics, ...rest } = config
  const named = new Set(config.listeners.map(({ name }) => name))
  const more = inherited
    .filter(({ name }) => !named.has(name))
    .map(({ name, address }) => ({ name, addr: formatAddress(address) }))
  return { ...rest, listeners: [...config.listeners, ...more], inherited, log }
}

class Run {
  #signalled = false
  #askEnd: (how: 'stop' | 'leave') => void = () => {}
  readonly #ending = new Promise<'stop' | 'leave'>((resolve) => {
    this.#askEnd = resolve
  })

  #trigger: Trigger | null = null
  /** systemd takes a READY=1 after a reload for the first one, too. */
  #isReady = false

  constructor(
    readonly supervisor: Supervisor,
    readonly config: SupervisorConfig,
    readonly inherited: readonly InheritedListener[],
    readonly systemd: SystemdNotify,
    readonly options: RunOptions,
    readonly io: Io,
    readonly log: Logger,
  ) {}

  async live(): Promise<number> {
    const offSignals = this.io.onSignal(['SIGTERM', 'SIGINT', 'SIGHUP'], (signal) =>
      signal === 'SIGHUP' ? this.#reload() : this.#onSignal(signal),
    )
    const stopTelling = tellSystemd(this.systemd, this.supervisor)
    const stopCollecting = collectWhenQuiet(this.supervisor)
    try {
      return await this.#serve()
    } finally {
      stopTelling()
      stopCollecting()
      this.systemd.close()
      offSignals()
    }
  }

  async #serve(): Promise<number> {
    // The trigger comes first: it is the claim that no second supervisor runs here, and shows a start that takes long.
    const trigger = await openTrigger({
      path: this.config.triggerSocket,
      supervisor: this.supervisor,
      binary: this.config.binary,
      allowedBinaries: this.config.allowedBinaries,
      allowedUids: this.config.allowedUids,
      onEnd: (how) => this.#askEnd(how),
      log: this.log,
    })
    this.#trigger = trigger
    const metrics = await this.#openMetrics()
    const unsubscribe = this.#tellOutcomes()
    let exitCode: number = EXIT_CODES.ok
    let how: 'stop' | 'leave' = 'stop'
    try {
      const started = this.supervisor.start()
      started.catch(() => {}) // told below, unless a stop came first
      await Promise.race([started, this.#ending])
      this.log.info({ trigger: this.config.triggerSocket }, 'ready for swaps')
      this.#isReady = true
      this.systemd.ready(statusLine(this.supervisor.status()))
      how = await this.#ending
      this.systemd.stopping(how === 'stop' ? 'stopping in order' : 'leaving; the program serves on')
      this.log.info(how === 'stop' ? 'stopping in order' : 'leaving; the primitive serves on')
    } catch (err) {
      this.log.fatal({ err }, 'could not start')
      exitCode = EXIT_CODES.failed
    }
    const closed = trigger.close()
    await (how === 'stop' ? this.supervisor.stop() : this.supervisor.leave())
    await metrics?.close()
    await closed // who waited for a swap is told how it ended
    unsubscribe()
    return exitCode
  }

  /** Takes over what can change, tells what cannot, and changes nothing when the file is wrong. */
  #reload(): void {
    if (this.#isReady) this.systemd.reloading()
    try {
      const config = loadConfig(this.options.config)
      const fixed = [
        ...this.supervisor.reconfigure(supervisorOptions(config, this.inherited, this.log)),
        ...(config.triggerSocket === this.config.triggerSocket ? [] : ['triggerSocket']),
      ]
      const { binary, allowedBinaries, allowedUids } = config
      this.#trigger?.reconfigure({ binary, allowedBinaries, allowedUids })
      if (fixed.length === 0) this.log.info({ file: config.file }, 'the config was read again')
      else {
        this.log.warn(
          { file: config.file, unchanged: fixed },
          'the config was read again; what is listed needs `handoff stop --leave` and a new start',
        )
      }
    } catch (err) {
      this.log.error({ err }, 'the config could not be read again; everything stays as it was')
    }
    if (this.#isReady) this.systemd.ready(statusLine(this.supervisor.status()))
  }

  /** A port that is taken costs the metrics, not the service. */
  async #openMetrics(): Promise<MetricsServer | null> {
    const { metrics } = this.config
    if (metrics === undefined) return null
    try {
      const [{ supervisorMetrics }, { serveMetrics }] = await Promise.all([
        import('../observe/metrics.js'),
        import('../observe/metrics-server.js'),
      ])
      const server = await serveMetrics(supervisorMetrics(this.supervisor).registry, metrics)
      this.log.info({ metrics: server.address }, 'metrics are served')
      return server
    } catch (err) {
      this.log.error({ err, metrics }, 'metrics are not served')
      return null
    }
  }

  #onSignal(signal: StopSignal): void {
    if (this.#signalled) {
      this.log.warn({ signal }, 'a second signal: ending at once')
      void this.supervisor.stop()
      return
    }
    this.#signalled = true
    this.log.info({ signal }, 'a signal asks for an orderly stop')
    this.#askEnd('stop')
  }

  #tellOutcomes(): () => void {
    let told: string | null = null
    return this.supervisor.subscribe(({ lastSwap }) => {
      if (lastSwap === null || lastSwap.handoffId === told) return
      told = lastSwap.handoffId
      this.io.out(this.options.json ? `${JSON.stringify(lastSwap satisfies SwapOutcome)}\n` : this.#report(lastSwap))
    })
  }

  #report(outcome: SwapOutcome): string {
    return outcomeReport(outcome, this.io.outIsTTY && !this.io.env.NO_COLOR)
  }
}
