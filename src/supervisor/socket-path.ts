/** How long the path of a socket of ours may be. */

/** `sun_path` holds 108 bytes on Linux and 104 on macOS, the closing NUL included (unix(7)). */
const SUN_PATH_BYTES = process.platform === 'linux' ? 107 : 103

/** Longest name a sibling of the path gets: the rendezvous socket and the staging names are made by appending. */
const SIBLING_BYTES = 16

/** @returns what is wrong with it, or null. */
export function socketPathProblem(path: string): string | null {
  const bytes = Buffer.byteLength(path)
  const longest = SUN_PATH_BYTES - SIBLING_BYTES
  return bytes <= longest ? null : `the path is ${bytes} bytes long, a socket path of ours may have ${longest}`
}
