/**
 * The digest of everything that the addon is made of. binding.gyp compiles it in, `src/os/native-sources.ts` holds the one that the
 * program was written for, and whoever loads an addon made of something else is told to build it again.
 *
 * Run by itself it prints the digest. There is nothing to bump: building the addon writes the file, and a test compares it with the sources.
 */
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const here = dirname(fileURLToPath(import.meta.url))

export function sourcesDigest() {
  const hash = createHash('sha256')
  const names = readdirSync(here).filter((name) => /\.[ch]$/.test(name))
  for (const path of [...names.sort(), '../binding.gyp'])
    hash.update(`${path}\0`).update(readFileSync(join(here, path)))
  return hash.digest('hex').slice(0, 16)
}

export const sourcesModule = (digest) =>
  `/** Written by native/install.mjs: what the addon must be made of, see native/sources.mjs. */\nexport const NATIVE_SOURCES = '${digest}'\n`

if (process.argv[1] === fileURLToPath(import.meta.url)) console.log(sourcesDigest())
