import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { expect, test } from 'vitest'
import {
  readFileIfExists,
  removeFileDurably,
  removeFileDurablySync,
  replaceFile,
  replaceFileSync,
  setAside,
  sweepTemporaries,
} from '../../src/os/atomic-file.js'
import { checkLeaks, codeOf, useTempDir } from './support.js'

checkLeaks()
const dir = useTempDir()
const bytes = (text: string): Uint8Array => Buffer.from(text)

test('a file is replaced whole, and nothing is left beside it', async () => {
  const path = `${dir.path}/journal`
  await replaceFile(path, bytes('one'))
  replaceFileSync(path, bytes('two'))
  expect(readFileSync(path, 'utf8')).toBe('two')
  await replaceFile(path, bytes(''))
  expect(readFileSync(path, 'utf8')).toBe('')
  expect(statSync(path).mode & 0o777).toBe(0o600)
  replaceFileSync(path, bytes('public'), { mode: 0o644, sync: false })
  expect(statSync(path).mode & 0o777).toBe(0o644)
  expect(readdirSync(dir.path)).toEqual(['journal'])
})

test('many writers at once leave one of their contents, never a mixture', async () => {
  const path = `${dir.path}/journal`
  const contents = Array.from({ length: 20 }, (_, i) => String(i).repeat(10_000))
  await Promise.all(contents.map((content) => replaceFile(path, bytes(content))))
  expect(contents).toContain(readFileSync(path, 'utf8'))
  expect(readdirSync(dir.path)).toEqual(['journal'])
})

test('a reader sees the old or the new content at every moment', async () => {
  const path = `${dir.path}/journal`
  replaceFileSync(path, bytes('a'.repeat(50_000)))
  let writing = true
  const writer = (async () => {
    for (let i = 0; i < 30; i += 1) await replaceFile(path, bytes((i % 2 === 0 ? 'b' : 'a').repeat(50_000)))
    writing = false
  })()
  while (writing) {
    const seen = readFileSync(path, 'latin1')
    expect(seen === 'a'.repeat(50_000) || seen === 'b'.repeat(50_000)).toBe(true)
    await new Promise((resolve) => setImmediate(resolve))
  }
  await writer
})

test('a failed replacement leaves the old file and no temporary', async () => {
  mkdirSync(`${dir.path}/sub`)
  await expect(replaceFile(`${dir.path}/sub`, bytes('x'))).rejects.toMatchObject({ code: 'ERR_HANDOFF_FILE' })
  expect(codeOf(() => replaceFileSync(`${dir.path}/sub`, bytes('x')))).toBe('ERR_HANDOFF_FILE')
  expect(codeOf(() => replaceFileSync(`${dir.path}/no/file`, bytes('x')))).toBe('ERR_HANDOFF_FILE')
  await expect(replaceFile(`${dir.path}/no/file`, bytes('x'))).rejects.toMatchObject({
    cause: expect.objectContaining({ code: 'ENOENT' }),
  })
  expect(readdirSync(dir.path)).toEqual(['sub'])
})

test('reading tells missing from unreadable', () => {
  expect(readFileIfExists(`${dir.path}/none`)).toBeNull()
  writeFileSync(`${dir.path}/some`, 'x')
  expect(Buffer.from(readFileIfExists(`${dir.path}/some`) as Uint8Array).toString()).toBe('x')
  expect(codeOf(() => readFileIfExists(dir.path))).toBe('ERR_HANDOFF_FILE')
})

test('removing what is not there is no error, what cannot be removed is one', async () => {
  writeFileSync(`${dir.path}/a`, 'x')
  writeFileSync(`${dir.path}/b`, 'x')
  await removeFileDurably(`${dir.path}/a`)
  await removeFileDurably(`${dir.path}/a`)
  removeFileDurablySync(`${dir.path}/b`)
  removeFileDurablySync(`${dir.path}/b`)
  expect(readdirSync(dir.path)).toEqual([])
  mkdirSync(`${dir.path}/sub`)
  await expect(removeFileDurably(`${dir.path}/sub`)).rejects.toMatchObject({ code: 'ERR_HANDOFF_FILE' })
  expect(codeOf(() => removeFileDurablySync(`${dir.path}/sub`))).toBe('ERR_HANDOFF_FILE')
})

test('corrupt files are set aside under the first free number, never over an earlier one', () => {
  const path = `${dir.path}/journal`
  for (const content of ['first', 'second', 'third']) {
    writeFileSync(path, content)
    setAside(path)
  }
  expect(existsSync(path)).toBe(false)
  expect([1, 2, 3].map((n) => readFileSync(`${path}.corrupt-${n}`, 'utf8'))).toEqual(['first', 'second', 'third'])
  expect(codeOf(() => setAside(path))).toBe('ERR_HANDOFF_FILE')
})

test('what a killed process left while it replaced the file is swept; of living ones and other files nothing', () => {
  const path = join(dir.path, 'journal')
  const dead = join(dir.path, '.journal.4194303-1.tmp')
  const living = join(dir.path, `.journal.${process.ppid}-1.tmp`)
  const other = join(dir.path, '.other.4194303-1.tmp')
  for (const file of [dead, living, other]) writeFileSync(file, '')
  sweepTemporaries(path)
  expect(readdirSync(dir.path).sort()).toEqual([living, other].map((file) => basename(file)).sort())
  sweepTemporaries(join(dir.path, 'missing', 'journal'))
})
