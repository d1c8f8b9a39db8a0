import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { run } from '../../src/cli/check.js'
import type { Io } from '../../src/cli/io.js'
import { chartText } from '../../src/cli/lanes.js'
import { run as runPaths } from '../../src/cli/paths.js'

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

describe('a counterexample', () => {
  const dir = mkdtempSync(join(tmpdir(), 'handoff-check-'))
  const file = join(dir, 'found.json')
  afterAll(() => rmSync(dir, { recursive: true }))

  test('is what a decision that is taken out leads to: drawn, and saved so that it can be walked again', async () => {
    const { io, out } = recorded()
    expect(await run(['--swaps', '1', '--faults', '0', '--without', 'verify', '--save', file], io)).toBe(1)
    expect(out()).toMatch(/without verify\s+BROKEN/)
    expect(out()).toMatch(/INV-13 is broken \(edge\)/)
    expect(out()).toMatch(/^ {4}S {25}A {25}B$/m)
    expect(out()).toMatch(/^ {4}│─+ SealRequest ─+▶│ +│$/m)
    const again = recorded()
    expect(await run(['--replay', file], again.io)).toBe(0)
    expect(again.out()).toMatch(/the machines without verify go this way, \d+ steps, up to where INV-13 is broken/)
    expect(again.out()).toMatch(/^ {4}│─+ SealRequest ─+▶│ +│$/m)
  })

  test('that the machines no longer allow is refused at the first step that is another', async () => {
    const saved = JSON.parse(readFileSync(file, 'utf8'))
    const ours = join(dir, 'ours.json')
    writeFileSync(ours, JSON.stringify({ ...saved, without: [] }))
    const { io, out } = recorded()
    expect(await run(['--replay', ours], io)).toBe(1)
    expect(out()).toMatch(/not this way any more: step \d+ 'S!sendToIncumbent.Commit' is not possible here/)
  })

  test('is walked as well when it is a line of handoff paths', async () => {
    const { io, out } = recorded()
    expect(await runPaths(['--to', 'committed', '--faults', '0', '--json'], io)).toBe(0)
    const line = join(dir, 'path.json')
    writeFileSync(line, out())
    const again = recorded()
    expect(await run(['--replay', line, '--json'], again.io)).toBe(0)
    expect(JSON.parse(again.out()).steps.at(-1).state).toMatchObject({ lock: 'B', answers: 'B' })
  })

  test.each([
    ['no JSON', 'nothing of the kind'],
    ['not of this form', '{"v":2}'],
    ["no decision is called 'hope'", '{"v":1,"world":"handoff","bounds":{},"without":["hope"],"replay":{"labels":[]}}'],
  ])('is refused as a file: %s', async (why, text) => {
    const bad = join(dir, 'bad.json')
    writeFileSync(bad, text)
    const { io } = recorded()
    await expect(run(['--replay', bad], io)).rejects.toMatchObject({
      code: 'ERR_HANDOFF_USAGE_PATH',
      message: expect.stringContaining(why),
    })
  })

  test('of a decision that nobody knows is not looked for', async () => {
    const { io } = recorded()
    await expect(run(['--without', 'hope'], io)).rejects.toMatchObject({ code: 'ERR_HANDOFF_USAGE_FLAG' })
  })
})

test('a chart tells apart what breaks, what is asked for, what the clock brings, and who says what to whom', () => {
  const text = chartText([
    { label: 'swap.requested', kind: 'trigger' },
    { label: 'S<A.Hello', kind: 'progress' },
    { label: 'A<SealRequest', kind: 'progress' },
    { label: 'kill:B', kind: 'fault' },
    { label: 'S~swap.livenessMs@opening', kind: 'timer' },
  ])
  expect(text.split('\n')).toEqual([
    '    S                         A                         B',
    '>   │ swap.requested          │                         │',
    '    │◀──────── Hello ─────────│                         │',
    '    │────── SealRequest ─────▶│                         │',
    '!   │                         │                         │ kill:B',
    '~   │ swap.livenessMs@opening │                         │',
    '',
  ])
})
