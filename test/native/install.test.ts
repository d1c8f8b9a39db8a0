import { spawnSync } from 'node:child_process'
import { appendFileSync, chmodSync, cpSync, mkdirSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { addonPath, loadAddon } from '../../src/os/native.js'
import { NATIVE_SOURCES } from '../../src/os/native-sources.js'
import { useTempDir } from '../os/support.js'

const dir = useTempDir()
const script = fileURLToPath(new URL('../../native/install.mjs', import.meta.url))

function install(path: string) {
  return spawnSync(process.execPath, [script], { env: { PATH: path }, encoding: 'utf8' })
}
function tool(name: string): void {
  writeFileSync(`${dir.path}/${name}`, '#!/bin/sh\nexit 0\n')
  chmodSync(`${dir.path}/${name}`, 0o755)
}

test('without compiler, make and python3 the message names all three and how to get them', () => {
  const run = install(dir.path)
  expect(run.status).toBe(1)
  expect(run.stdout).toBe('')
  expect(run.stderr).toContain('Missing: a C compiler (cc, gcc or clang), make, python3.')
  expect(run.stderr).toContain('apt-get install build-essential python3')
  expect(run.stderr).toContain('npm rebuild handoff-machines')
})

test('only what is missing is named', () => {
  tool('cc')
  tool('python3')
  expect(install(dir.path).stderr).toContain('Missing: make.')
})

test('the addon is found from the sources and from dist', () => {
  mkdirSync(`${dir.path}/dist/src/os`, { recursive: true })
  writeFileSync(`${dir.path}/binding.gyp`, '')
  const built = `${dir.path}/build/Release/handoff_native.node`
  expect(addonPath(`${dir.path}/src/os`)).toBe(built)
  expect(addonPath(`${dir.path}/dist/src/os`)).toBe(built)
})

test('a missing or unloadable addon says what to run', () => {
  writeFileSync(`${dir.path}/garbage.node`, 'no ELF')
  for (const name of ['none.node', 'garbage.node']) {
    expect(() => loadAddon(`${dir.path}/${name}`)).toThrow(
      expect.objectContaining({
        code: 'ERR_HANDOFF_NATIVE_MISSING',
        todo: 'run `npm rebuild handoff-machines`; it needs a C compiler, make and python3',
        cause: expect.any(Error),
      }),
    )
  }
})

const root = fileURLToPath(new URL('../..', import.meta.url))
const digestOf = (checkout: string) =>
  spawnSync(process.execPath, [`${checkout}/native/sources.mjs`], { encoding: 'utf8' }).stdout.trim()

test('the program names the sources that lie here: after a change in native/, run `npm run install`', () => {
  expect(NATIVE_SOURCES).toBe(digestOf(root))
})

test('a change of any source, or of how they are built, is another digest', () => {
  cpSync(`${root}/native`, `${dir.path}/native`, { recursive: true })
  cpSync(`${root}/binding.gyp`, `${dir.path}/binding.gyp`)
  const seen = new Set([digestOf(dir.path)])
  expect(seen).toEqual(new Set([NATIVE_SOURCES]))
  for (const file of ['native/sys.c', 'native/sys.h', 'native/readiness.c', 'binding.gyp']) {
    appendFileSync(`${dir.path}/${file}`, '\n')
    seen.add(digestOf(dir.path))
  }
  writeFileSync(`${dir.path}/native/new.c`, '')
  seen.add(digestOf(dir.path))
  expect(seen.size).toBe(6)
})

test('an addon that was built from other sources is refused, however alike its functions are', () => {
  const built = addonPath(`${root}/src/os`)
  expect(loadAddon(built)).toHaveProperty('hungUp')
  expect(() => loadAddon(built, '0123456789abcdef')).toThrow(
    expect.objectContaining({
      code: 'ERR_HANDOFF_NATIVE_STALE',
      message: expect.stringContaining(NATIVE_SOURCES),
      todo: 'run `npm rebuild handoff-machines`, or in a checkout `npm run install && npm run build`',
    }),
  )
})
