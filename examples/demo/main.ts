#!/usr/bin/env node
/** `npm run demo`: replaces a loaded, durable daemon again and again, by good builds and bad ones, and shows what clients felt. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type DemoOptions, parseOptions, USAGE } from './options.js'
import { colours, formatReport, formatStep, noColours } from './report.js'
import { runDemo } from './run.js'

const options = readOptions()
const interrupt = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => interrupt.abort())

const directory = await mkdtemp(join(tmpdir(), 'handoff-demo-'))
try {
  const report = await runDemo({
    options,
    directory,
    onStep: (step, number, of) => tell(formatStep(step, `${number}/${of}`, process.stderr.isTTY ? colours : noColours)),
    signal: interrupt.signal,
  })
  console.log(
    options.json ? JSON.stringify(report, null, 2) : formatReport(report, process.stdout.isTTY ? colours : noColours),
  )
  await finish(report.ok ? 0 : 1)
} catch (error) {
  if (interrupt.signal.aborted) await finish(130)
  console.error('demo:', error)
  await finish(1)
}

/** The logs of a failed run stay, and are named. */
async function finish(status: number): Promise<never> {
  if (status === 1) tell(`logs and data are in ${directory}`)
  else await rm(directory, { recursive: true, force: true })
  process.exit(status)
}

function readOptions(): DemoOptions {
  try {
    return parseOptions(process.argv.slice(2))
  } catch (error) {
    console.error(`demo: ${error instanceof Error ? error.message : error}\n${USAGE}`)
    process.exit(64)
  }
}

/** stdout is the result, stderr the story. */
function tell(text: string): void {
  process.stderr.write(`${text}\n`)
}
