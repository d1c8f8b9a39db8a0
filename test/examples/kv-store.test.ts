import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { KvStore } from '../../examples/kv-store.js'

let directory: string
const open: KvStore[] = []

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'kv-store-'))
})
afterEach(async () => {
  for (const store of open.splice(0)) await store.close()
  await rm(directory, { recursive: true, force: true })
})

async function openStore(): Promise<KvStore> {
  const store = await KvStore.open(directory)
  open.push(store)
  return store
}

const bytes = (text: string) => Buffer.from(text)
const stored = async (store: KvStore, key: string) => {
  const entry = await store.get(key)
  return entry && { ...entry, value: Buffer.from(entry.value).toString() }
}

test('a new store is at revision 0 and knows no key', async () => {
  const store = await openStore()
  expect(store.revision).toBe(0)
  expect(await store.get('a')).toBeUndefined()
})

test('a write is read back with its revision and its exact bytes', async () => {
  const store = await openStore()
  const binary = Uint8Array.from({ length: 256 }, (_, i) => i)
  expect(await store.put('empty', new Uint8Array())).toBe(1)
  expect(await store.put('binary', binary)).toBe(2)
  expect(await store.put('binary/☃', bytes('x'))).toBe(3)
  expect(await stored(store, 'empty')).toEqual({ revision: 1, value: '' })
  expect(Uint8Array.from((await store.get('binary'))?.value ?? [])).toEqual(binary)
  expect(await stored(store, 'binary/☃')).toEqual({ revision: 3, value: 'x' })
})

test('no key of a caller meets the store’s own revision', async () => {
  const store = await openStore()
  await store.put('meta:revision', bytes('not a revision'))
  await store.close()
  expect((await openStore()).revision).toBe(1)
})

test('revisions go on strictly increasing when the store is opened again', async () => {
  for (let generation = 0; generation < 5; generation += 1) {
    const store = await openStore()
    expect(store.revision).toBe(generation * 2)
    expect(await store.put('key', bytes(`${generation}`))).toBe(generation * 2 + 1)
    expect(await store.put('key', bytes(`${generation}`))).toBe(generation * 2 + 2)
    await store.close()
  }
})

test('writes at once each get a revision of their own, in the order they were made, and all are readable', async () => {
  const store = await openStore()
  const keys = Array.from({ length: 1000 }, (_, i) => `key${i}`)
  const revisions = await Promise.all(keys.map((key) => store.put(key, bytes(`value of ${key}`))))
  expect(revisions).toEqual(keys.map((_, i) => i + 1))
  expect(store.revision).toBe(1000)
  await store.close()
  const reopened = await openStore()
  for (const [i, key] of keys.entries()) {
    expect(await stored(reopened, key)).toEqual({ revision: i + 1, value: `value of ${key}` })
  }
})

test('values larger than one batch are all written', async () => {
  const store = await openStore()
  const large = Buffer.alloc(3 << 20, 7)
  const revisions = await Promise.all(['a', 'b', 'c', 'd'].map((key) => store.put(key, large)))
  expect(revisions).toEqual([1, 2, 3, 4])
  for (const key of ['a', 'b', 'c', 'd']) expect(large.equals((await store.get(key))?.value ?? bytes(''))).toBe(true)
})

test('close finishes the writes under way and refuses new ones', async () => {
  const store = await openStore()
  const underWay = Array.from({ length: 20 }, (_, i) => store.put(`key${i}`, bytes('v')))
  const closed = store.close()
  await expect(store.put('late', bytes('v'))).rejects.toThrow('nothing was written')
  expect(await Promise.all(underWay)).toHaveLength(20)
  await closed
  const reopened = await openStore()
  expect(reopened.revision).toBe(20)
  expect(await reopened.get('late')).toBeUndefined()
})

test('a second owner is refused while the first is open (INV-05)', async () => {
  await openStore()
  await expect(KvStore.open(directory)).rejects.toMatchObject({ cause: { code: 'LEVEL_LOCKED' } })
})

test('every acknowledged write survives kill -9 in the middle of writing (INV-03)', async () => {
  let highest = 0
  const acknowledged = new Map<string, number>()
  for (let round = 1; round <= 3; round += 1) {
    const written = await writeUntilKilled(join(directory, 'store'), 300 * round)
    for (const { key, revision } of written) {
      expect(revision).toBeGreaterThan(highest)
      acknowledged.set(key, revision)
    }
    const store = await KvStore.open(join(directory, 'store'))
    for (const [key, revision] of acknowledged) {
      expect(await stored(store, key)).toEqual({ revision, value: `value of ${key}` })
    }
    expect(store.revision).toBeGreaterThanOrEqual(Math.max(...acknowledged.values()))
    highest = store.revision
    await store.close()
  }
})

/** Kills the writer once it has reported `count` acknowledged writes; more may come out before it dies. */
async function writeUntilKilled(store: string, count: number): Promise<{ key: string; revision: number }[]> {
  const fixture = fileURLToPath(new URL('../fixtures/kv-writer.mjs', import.meta.url))
  const writer = spawn(process.execPath, [fixture, store], { stdio: ['ignore', 'pipe', 'inherit'] })
  const exited = once(writer, 'exit')
  const written: { key: string; revision: number }[] = []
  for await (const line of createInterface({ input: writer.stdout })) {
    const [key = '', revision] = line.split(' ')
    written.push({ key, revision: Number(revision) })
    if (written.length === count) writer.kill('SIGKILL')
  }
  expect(await exited).toEqual([null, 'SIGKILL'])
  expect(written.length).toBeGreaterThanOrEqual(count)
  return written
}
