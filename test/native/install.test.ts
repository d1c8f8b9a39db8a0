import { spawnSync } from 'node:child_process'
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { addonPath, loadAddon } from '../../src/os/native.js'
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
