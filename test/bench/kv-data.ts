/** Fills the store of examples/kv with so many megabytes, in the way that the daemon itself writes. */
import { join } from 'node:path'

/** Compressible bytes would make a gigabyte small. */
const VALUE_BYTES = 64 * 1024
const TOGETHER = 64

interface Store {
  put(key: string, value: Uint8Array): Promise<number>
  close(): Promise<void>
}

export async function fillKv(tree: string, dataDir: string, megabytes: number): Promise<void> {
  const { KvStore } = (await import(join(tree, 'dist/examples/kv-store.js'))) as {
    KvStore: { open(directory: string): Promise<Store> }
  }
  const store = await KvStore.open(join(dataDir, 'store'))
  const values = (megabytes * 1024 * 1024) / VALUE_BYTES
  for (let at = 0; at < values; at += TOGETHER) {
    const keys = Array.from({ length: Math.min(TOGETHER, values - at) }, (_, i) => `${at + i}`)
    await Promise.all(keys.map((key) => store.put(key, crypto.getRandomValues(new Uint8Array(VALUE_BYTES)))))
  }
  await store.close()
}
