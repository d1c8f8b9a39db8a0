/**
 * `npm run test:nodes`: live connections of every shape hop through Node 20, 24, 22 and 26 in turn, over 20 swaps.
 * `npm run test:nodes -- --each`: the whole suite, on each of them. The versions come from the package `node`.
 */
import { spawnSync } from 'node:child_process'
import { parseArgs } from 'node:util'

/** Up and down, so that each kind of step is taken: to a newer one, to an older one, across two. */
const CHAIN = ['20', '24', '22', '26']
const ABOUT_CONNECTIONS = [
  'test/process/connections.test.ts',
  'test/process/protocols.test.ts',
  'test/process/sessions.test.ts',
  'test/daemon/attach',
]
/** Three other Nodes read the addon and the packages for the first time: no limit of a test is about that. */
const TEST_TIMEOUT_MS = 600_000

const { values } = parseArgs({ options: { each: { type: 'boolean', default: false } } })
const binaries = CHAIN.map(binaryOf)
const statuses = values.each
  ? binaries.map((binary) => vitest(binary, [], {}))
  : [
      vitest(process.execPath, [...ABOUT_CONNECTIONS, `--testTimeout=${TEST_TIMEOUT_MS}`], {
        HANDOFF_TEST_NODES: binaries.join(':'),
        HANDOFF_TEST_ROUNDS: '5',
      }),
    ]
process.exitCode = statuses.every((status) => status === 0) ? 0 : 1

function binaryOf(major: string): string {
  if (process.versions.node.split('.')[0] === major) return process.execPath
  const asked = ['--yes', '--package', `node@${major}`, '--', 'node', '--print', 'process.execPath']
  const { stdout, stderr, status } = spawnSync('npx', asked, { encoding: 'utf8' })
  if (status !== 0) throw new Error(`npx could not get Node ${major}: ${stderr}`)
  return stdout.trim()
}

function vitest(binary: string, args: readonly string[], env: NodeJS.ProcessEnv): number {
  const { stdout } = spawnSync(binary, ['--version'], { encoding: 'utf8' })
  console.log(`\n== ${stdout.trim()} ${args.join(' ')}`)
  const options = { stdio: 'inherit', env: { ...process.env, ...env } } as const
  return spawnSync(binary, ['node_modules/vitest/vitest.mjs', 'run', ...args], options).status ?? 1
}
