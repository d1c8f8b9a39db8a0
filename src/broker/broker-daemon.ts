/**
 * The broker as a daemon whose own program can be replaced: both protocols of this package in one process (W10).
 *
 * Its listener outlives it, so that a client that says Hello in the middle of an upgrade waits a moment in the backlog and
 * is not refused. There is nothing to seal: exchanges in flight end, tokens die with them.
 */
import { mkdirSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import type { Daemon } from '../daemon/options.js'
import { serveDaemon } from '../daemon/serve-daemon.js'
import { type InspectOption, inspectFromEnvironment, inspectSocket } from '../observe/inspect-target.js'
import type { Logger } from '../observe/log.js'
import type { BrokerConfig } from './broker-config.js'
import { checkPrivateDirectory } from './private-directory.js'
import type { BrokerReport } from './reports.js'
import { type Broker, serveBroker } from './serve-broker.js'

export interface BrokerDaemonOptions {
  readonly config: BrokerConfig
  readonly log?: Logger
  /**
   * Shows the broker, its connections and the machines of its upgrade to an inspector, all on the socket beside
   * `config.controlSocket`, or at an address. Default: the variable HANDOFF_INSPECT; else off.
   */
  readonly inspect?: InspectOption
}

/**
 * Serves until SIGTERM, or until a successor has taken over; then the process exits by itself.
 * @throws what serveDaemon and serveBroker throw, before anything was opened
 */
export async function serveBrokerDaemon({ config, log, inspect }: BrokerDaemonOptions): Promise<Daemon> {
  for (const path of [config.socket, config.controlSocket]) {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
    checkPrivateDirectory(path)
  }
  let broker: Broker | null = null
  const daemon = await serveDaemon({
    controlSocket: config.controlSocket,
    dataDir: config.dataDir,
    listeners: { clients: { path: config.socket } },
    ...(log === undefined ? {} : { log }),
    ...(inspect === undefined ? {} : { inspect }),
    async open({ listeners }) {
      // A swap that was undone before the end finds the old one drained; a new one costs nothing.
      await broker?.close()
      const opened = await serveBroker({
        services: config.services,
        policy: config.policy,
        allowedUids: config.allowedUids,
        ...(config.definitions === undefined ? {} : { definitions: config.definitions }),
        name: config.socket,
        // The drain keeps its own limit: what a sender would wait cannot make it longer.
        onShutdown: () => daemon.stop(),
        inspect: inspectedAt(inspect, config.controlSocket),
        ...(log === undefined ? {} : { observe: (report: BrokerReport) => logReport(log, report) }),
      })
      broker = opened
      if (opened.server !== null) listeners.clients.attach(opened.server)
      return {
        drain: () => opened.drain(),
        seal: () => {},
        resume: () => opened.resume(),
        close: () => opened.close(),
      }
    },
  })
  return daemon
}

/** Both protocols show themselves in one place: beside the control socket of the upgrade. */
function inspectedAt(inspect: InspectOption | undefined, controlSocket: string): InspectOption {
  const asked = inspect ?? inspectFromEnvironment()
  return asked === true ? `unix:${resolve(inspectSocket(controlSocket))}` : asked
}

/** One line for each thing that happened; a silent fallback is silent only for the client (W15). */
export function logReport(log: Logger, report: BrokerReport): void {
  const { kind, ...facts } = report
  const fields = Object.fromEntries(
    Object.entries(facts).map(([name, value]) => [name, typeof value === 'bigint' ? String(value) : value]),
  )
  const line = { event: `broker.${kind}`, ...fields }
  if (kind === 'fellBack' || kind === 'peerRejected' || kind === 'starved') log.warn(line, kind)
  else if (kind === 'fault') log.error(line, kind)
  else if (kind === 'breaker') log.warn(line, kind)
  else log.debug(line, kind)
}
