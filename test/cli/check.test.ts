import { describe, expect, test } from 'vitest'
import { run } from '../../src/cli/check.js'
import type { Io } from '../../src/cli/io.js'

function recorded(): { readonly io: Io; readonly out: () => string } {
  const said: string[] = []
  const io = { out: (text: string) => said.push(text), err: () => {} } as unknown as Io
  return { io, out: () => said.join('') }
}

describe('handoff check', () => {
  test('says that everything holds, with the bounds it was explored in', async () => {
    const { io, out } = recorded()
    expect(await run(['--swaps', '1', '--faults', '0'], io)).toBe(0)
    expect(out()).toMatch(/as asked\s+holds/)
    expect(out()).toMatch(/bounds\s+swaps 1, faults 0, restarts 1/)
    expect(out()).toMatch(/explored\s+complete/)
    expect(out()).toMatch(/serves again\s+within/)
  })

  test('gives one line of JSON for machines', async () => {
    const { io, out } = recorded()
    expect(await run(['--swaps', '1', '--faults', '0', '--json'], io)).toBe(0)
    const result = JSON.parse(out()) as { holds: boolean; complete: boolean; violations: unknown[]; states: number }
    expect(result).toMatchObject({ holds: true, complete: true, violations: [] })
    expect(result.states).toBeGreaterThan(100)
  })

  test('refuses a number it cannot explore', async () => {
    const { io } = recorded()
    await expect(run(['--faults', 'many'], io)).rejects.toMatchObject({ code: 'ERR_HANDOFF_USAGE_FLAG' })
  })
})
