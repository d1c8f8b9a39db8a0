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

/** Nanoseconds since boot: below 2^53 for a hundred days. */
export const mark = (what) => void marks.push([Number(process.hrtime.bigint()), what])

/** One mark for each frame in a buffer that begins with one. */
export function markFrames(direction, bytes) {
  const now = Number(process.hrtime.bigint())
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  for (let at = 0; at + HEADER_BYTES < bytes.length; at += 4 + view.getUint32(at, true)) {
    marks.push([now, `${direction}:${TYPES[bytes[at + HEADER_BYTES]]}`])
  }
}

const directory = process.env.HANDOFF_BENCH_MARKS
if (directory) {
  process.on('exit', () => writeFileSync(`${directory}/${process.pid}.json`, JSON.stringify(marks)))
}
