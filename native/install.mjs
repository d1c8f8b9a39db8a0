// Builds the addon when the package is installed, and says plainly what is missing when that cannot work.
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { sourcesDigest, sourcesModule } from './sources.mjs'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const windows = process.platform === 'win32'

function runs(command, args = ['--version']) {
  return spawnSync(command, args, { stdio: 'ignore' }).status === 0
}

function fail(lines) {
  console.error(['', 'handoff-machines: its native part was not built.', ...lines, ''].join('\n  '))
  process.exit(1)
}

/** What the build needs and this machine lacks. CC and PYTHON are honoured, as node-gyp does. */
function missingTools() {
  const compilers = process.env.CC ? [process.env.CC.split(' ')[0]] : ['cc', 'gcc', 'clang']
  const pythons = [process.env.npm_config_python, process.env.PYTHON, 'python3', 'python'].filter(Boolean)
  return [
    compilers.some((tool) => runs(tool)) ? null : 'a C compiler (cc, gcc or clang)',
    runs('make') || runs('gmake') ? null : 'make',
    pythons.some((tool) => runs(tool)) ? null : 'python3',
  ].filter((tool) => tool !== null)
}

function howToGetThem() {
  if (process.platform === 'darwin') return ['macOS: xcode-select --install']
  return [
    'Debian, Ubuntu: apt-get install build-essential python3',
    'Fedora, RHEL:   dnf install gcc make python3',
    'Alpine:         apk add build-base python3',
  ]
}

/** npm brings node-gyp with it: on PATH inside its scripts, else beside npm or node. */
function nodeGyp() {
  const inside = (...start) => join(...start, 'node_modules', 'node-gyp', 'bin', 'node-gyp.js')
  const npm = process.env.npm_execpath ? dirname(dirname(process.env.npm_execpath)) : null
  const prefix = dirname(dirname(process.execPath))
  const candidates = [
    process.env.npm_config_node_gyp,
    npm && inside(npm),
    inside(root),
    inside(prefix, 'lib', 'node_modules', 'npm'),
    inside(prefix, 'share', 'nodejs', 'npm'),
    join(prefix, 'share', 'nodejs', 'node-gyp', 'bin', 'node-gyp.js'),
  ]
  const script = candidates.find((path) => path && existsSync(path))
  if (script) return { command: process.execPath, args: [script] }
  return runs('node-gyp') ? { command: 'node-gyp', args: [] } : null
}

if (windows) fail(['Windows is not supported: it has neither descriptor passing nor flock.'])

const missing = missingTools()
if (missing.length > 0) {
  fail([`Missing: ${missing.join(', ')}.`, ...howToGetThem(), 'Then: npm rebuild handoff-machines'])
}

const gyp = nodeGyp()
if (gyp === null) {
  fail([
    'node-gyp was not found; npm brings it along.',
    'Run: npm install --global node-gyp && npm rebuild handoff-machines',
  ])
}

const built = spawnSync(gyp.command, [...gyp.args, 'rebuild'], { cwd: root, stdio: 'inherit' })
if (built.status !== 0) {
  fail([
    'The compiler or node-gyp gave up; its own words are above.',
    "Without network, point node-gyp at Node's headers: npm_config_nodedir=/usr (the prefix that holds include/node).",
    'Then: npm rebuild handoff-machines',
  ])
}

const digest = sourcesModule(sourcesDigest())
const noted = join(root, 'src', 'os', 'native-sources.ts')
// An installed package was published with both alike, and may be read-only.
if (!existsSync(noted) || readFileSync(noted, 'utf8') !== digest) writeFileSync(noted, digest)
