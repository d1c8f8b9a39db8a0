/**
 * Moments on the clock that all processes of a machine share (CLOCK_MONOTONIC), kept in memory and written when the
 * process ends: a measurement must not write in the middle of what it measures.
 */
import { writeFileSync } from 'node:fs'

const TYPES = [
  'Hello',
  'HelloAck',
  'PrepareHandoff',
  'Drained',
  'SealRequest',
  'SealProgress',
  'SealComplete',
  'SealFailed',
  'Begin',
  'Ready',
  'Commit',
  'Abort',
  'ResumeAfterAbort',
  'Heartbeat',
]
const HEADER_BYTES = 6

const marks = []

/** CPU time of this process, µs: on a busy machine the part of a wall time that is ours. */
const cpuTime = () => {
  const { user, system } = process.cpuUsage()
  return user + system
}

/** Nanoseconds since boot: below 2^53 for a hundred days. */
export const mark = (what) => void marks.push([Number(process.hrtime.bigint()), what, cpuTime()])

/** One mark for each frame in a buffer that begins with one. */
export function markFrames(direction, bytes) {
  const now = Number(process.hrtime.bigint())
  const cpu = cpuTime()
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  for (let at = 0; at + HEADER_BYTES < bytes.length; at += 4 + view.getUint32(at, true)) {
    marks.push([now, `${direction}:${TYPES[bytes[at + HEADER_BYTES]]}`, cpu])
  }
}

const directory = process.env.HANDOFF_BENCH_MARKS
if (directory) {
  process.on('exit', () => writeFileSync(`${directory}/${process.pid}.json`, JSON.stringify(marks)))
}
