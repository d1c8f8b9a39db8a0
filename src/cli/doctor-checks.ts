/** What bites users of a handoff, each as one check over facts: so that a test can make each fail. */
import { SOCKET_PATH_LIMIT } from '../os/unix-socket.js'
import type { SupervisorConfig } from '../supervisor/config.js'

export type Grade = 'ok' | 'warning' | 'failure' | 'unknown'

export interface Finding {
  readonly id: string
  readonly grade: Grade
  /** What was found. */
  readonly found: string
  /** What to do; null when nothing is to be done. */
  readonly todo: string | null
}

/** What the checks look at; null where this machine does not tell. */
export interface Facts {
  readonly config: SupervisorConfig
  readonly somaxconn: number | null
  readonly nofile: { readonly soft: number; readonly hard: number }
  /** Open descriptors of the running primitive. */
  readonly openFds: number | null
  /** Directory of the lock, and the name of its file system. */
  readonly dataDir: { readonly path: string; readonly fileSystem: string } | null
  /** Mode bits and owner of the directory that each socket lies in. */
  readonly socketDirs: readonly {
    readonly path: string
    readonly mode: number
    readonly uid: number
    readonly sticky: boolean
  }[]
  readonly uid: number
  /** KillMode of the unit that the supervisor runs in; null outside systemd. */
  readonly killMode: string | null
  /** Program of process 1, and whether the supervisor is that. */
  readonly init: { readonly name: string; readonly isSupervisor: boolean }
  /** Signals that the running supervisor catches, by name. */
  readonly caught: readonly string[] | null
  readonly nodeOptions: string
  /** By how much wall clock and monotonic clock went apart over a moment, ms. */
  readonly clockStepMs: number
}

type Check = (facts: Facts) => Finding[] | Finding | null

const ok = (id: string, found: string): Finding => ({ id, grade: 'ok', found, todo: null })
const bad = (id: string, grade: Grade, found: string, todo: string): Finding => ({ id, grade, found, todo })

/** File systems whose flock(2) another machine does not see, or that may lose it. */
const REMOTE = /^(nfs|nfs4|cifs|smb3|9p|fuse(\..*)?|afs|ceph|glusterfs|lustre|overlay-remote)$/

const backlog: Check = ({ config, somaxconn }) => {
  if (somaxconn === null)
    return bad('backlog', 'unknown', 'this kernel does not tell net.core.somaxconn', 'see its manual')
  return config.listeners.map(({ name, backlog: wanted = 4096 }) =>
    wanted <= somaxconn
      ? ok('backlog', `listener ${name}: ${wanted} connections may wait`)
      : bad(
          'backlog',
          'warning',
          `listener ${name} wants ${wanted} waiting connections, the kernel keeps ${somaxconn}`,
          `sysctl -w net.core.somaxconn=${wanted}, or lower its backlog`,
        ),
  )
}

const descriptors: Check = ({ nofile, openFds }) => {
  if (openFds === null)
    return ok('descriptors', `each process may open ${nofile.soft} descriptors; none runs that could be counted`)
  // Both generations hold the connections that are moved, and the listeners, at once.
  const needed = 2 * openFds + 64
  return nofile.soft >= needed
    ? ok('descriptors', `${openFds} open, ${nofile.soft} allowed`)
    : bad(
        'descriptors',
        'failure',
        `${openFds} descriptors are open and ${nofile.soft} are allowed; two generations need about ${needed}`,
        `raise it: ulimit -n ${needed}, or LimitNOFILE=${needed} in the unit (the hard limit is ${nofile.hard})`,
      )
}

const fileSystem: Check = ({ dataDir }) => {
  if (dataDir === null)
    return bad('data-dir', 'unknown', 'no program runs whose lock could be looked at', 'ask again when it runs')
  return REMOTE.test(dataDir.fileSystem)
    ? bad(
        'data-dir',
        'failure',
        `${dataDir.path} is on ${dataDir.fileSystem}: its lock may not hold`,
        'put the data on a local file system',
      )
    : ok('data-dir', `${dataDir.path} is on ${dataDir.fileSystem}`)
}

const socketPaths: Check = ({ config }) =>
  [`${config.controlSocket}.inspect`, config.triggerSocket].map((path) => {
    const bytes = Buffer.byteLength(path)
    return bytes <= SOCKET_PATH_LIMIT
      ? ok('socket-path', `${path}: ${bytes} of ${SOCKET_PATH_LIMIT} bytes`)
      : bad(
          'socket-path',
          'failure',
          `${path} has ${bytes} bytes, the kernel takes ${SOCKET_PATH_LIMIT}`,
          'choose a shorter directory',
        )
  })

const socketOwners: Check = ({ socketDirs, uid }) =>
  socketDirs.map(({ path, mode, uid: owner, sticky }) => {
    const foreign = owner !== uid && owner !== 0
    const open = (mode & 0o022) !== 0 && !sticky
    if (!foreign && !open) return ok('socket-directory', `${path} is safe`)
    const why = foreign ? `belongs to uid ${owner}` : `may be written by others (mode ${(mode & 0o777).toString(8)})`
    return bad(
      'socket-directory',
      'failure',
      `${path} ${why}: they could put a socket of their own there`,
      `chown ${uid} ${path} and chmod 700 ${path}`,
    )
  })

const killMode: Check = ({ killMode: mode }) => {
  if (mode === null) return ok('kill-mode', 'not run by systemd')
  return mode === 'mixed' || mode === 'process'
    ? ok('kill-mode', `KillMode=${mode}`)
    : bad(
        'kill-mode',
        'failure',
        `KillMode=${mode} lets systemd signal or abandon the program behind the supervisor’s back`,
        'set KillMode=mixed in the unit',
      )
}

const pidOne: Check = ({ init }) =>
  init.isSupervisor
    ? bad(
        'pid-1',
        'warning',
        'the supervisor is process 1: when it ends, however it happens, the kernel ends your program with it',
        'run it under an init: docker run --init, or tini',
      )
    : ok('pid-1', `process 1 is ${init.name}`)

/** SIGUSR1 starts Node's inspector, SIGUSR2 is what reloaders catch, SIGHUP reloads the config. */
const signals: Check = ({ caught, nodeOptions }) => {
  const findings: Finding[] = []
  if (/--inspect(?!-publish)/.test(nodeOptions)) {
    findings.push(
      bad(
        'signals',
        'warning',
        `NODE_OPTIONS holds ${nodeOptions}: both generations want the same debugger port`,
        'take --inspect out of NODE_OPTIONS',
      ),
    )
  }
  if (caught !== null && !caught.includes('SIGTERM')) {
    findings.push(
      bad(
        'signals',
        'failure',
        'the supervisor does not catch SIGTERM: something has taken its handler away',
        'do not remove signal listeners in preloaded modules',
      ),
    )
  }
  if (caught?.includes('SIGUSR2') === true) {
    findings.push(
      bad(
        'signals',
        'warning',
        'SIGUSR2 is caught: a reloader (nodemon, pm2) would restart what a swap should replace',
        'run the supervisor without it',
      ),
    )
  }
  return findings.length > 0 ? findings : ok('signals', 'no handler stands in the way')
}

const clock: Check = ({ clockStepMs }) =>
  Math.abs(clockStepMs) <= 50
    ? ok('clock', 'wall clock and monotonic clock agree')
    : bad(
        'clock',
        'warning',
        `the wall clock jumped by ${Math.round(clockStepMs)} ms while it was watched`,
        'let it be slewed, not stepped: times in logs and in the history are wrong; swaps are not, they use the monotonic clock',
      )

const journal: Check = ({ config }) =>
  config.journal === undefined
    ? bad(
        'journal',
        'warning',
        'no journal is configured: a restarted supervisor knows only what the kernel can tell',
        "name a 'journal' in handoff.toml",
      )
    : ok('journal', config.journal)

export const CHECKS: readonly Check[] = [
  backlog,
  descriptors,
  fileSystem,
  socketPaths,
  socketOwners,
  killMode,
  pidOne,
  signals,
  clock,
  journal,
]

export const examine = (facts: Facts): Finding[] => CHECKS.flatMap((check) => check(facts) ?? [])
