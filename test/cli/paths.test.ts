import { describe, expect, test } from 'vitest'
import { replay } from '../../machines/explore/index.js'
import { createHandoffWorld } from '../../machines/handoff/world/index.js'
import type { Io } from '../../src/cli/io.js'
import { run } from '../../src/cli/paths.js'

async function paths(...argv: string[]) {
  let out = ''
  const io = {
    out: (text: string) => {
      out += text
    },
  } as unknown as Io
  const code = await run(argv, io)
  return {
    code,
    out,
    lines: () =>
      out
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line)),
  }
}

describe('handoff paths', () => {
  test('without faults there is one way to commit, and it can be walked again', async () => {
    const { code, lines } = await paths('--to', 'committed', '--faults', '0', '--json')
    expect(code).toBe(0)
    const [path, ...more] = lines()
    expect(more).toEqual([])
    expect(path).toMatchObject({
      v: 1,
      world: 'handoff',
      to: 'committed',
      faults: [],
      outcome: { result: 'committed' },
    })
    expect(path.steps.map(({ label }: { label: string }) => label)).toEqual(path.replay.labels)
    expect(path.steps.at(-1)).toMatchObject({ label: 'S!reportOutcome', state: { lock: 'B', answers: 'B', path: 'B' } })
    const again = replay(createHandoffWorld(path.bounds), path.replay)
    expect(JSON.parse(JSON.stringify(again.path.steps))).toEqual(path.steps)
  })

  test('each fault that ends in a rollback has a path of its own, and afterwards the incumbent serves', async () => {
    const { lines } = await paths('--world', 'handoff', '--to', 'rolledBack', '--json')
    const all = lines()
    const faults = all.map((path) => path.faults.join())
    expect(faults).toEqual(expect.arrayContaining(['A:seal:fails', 'B:openState:unhealthy', 'kill:B']))
    for (const path of all) {
      expect(path.faults).toHaveLength(1)
      expect(path.outcome).toMatchObject({ result: 'rolledBack', servingPid: 1 })
      expect(path.steps.at(-1).state.answers).toBe('A')
    }
  })

  test('where nobody has anything left to do, somebody serves', async () => {
    const { lines } = await paths('--to', 'quiescent', '--faults', '0', '--json', '--limit', '3')
    for (const path of lines()) expect(path.steps.at(-1).state.answers).not.toBeNull()
  })

  test('for people: the steps in their order, and how many there are', async () => {
    const { out } = await paths('--to', 'rolledBack', '--limit', '1')
    expect(out).toMatch(/^rolledBack \(\w+\); .+; \d+ steps\n {2}progress +restart:S\n/)
    expect(out).toMatch(/1 of \d+ paths to rolledBack, at most 1 faults\n$/)
  })

  test('a goal that cannot be reached within the bounds exits with 1', async () => {
    expect(await paths('--to', 'nobodyServes', '--faults', '0', '--json')).toMatchObject({ code: 1, out: '' })
  })

  test.each([[['--to', 'glory']], [['--world', 'sea', '--to', 'committed']], [['--to', 'committed', '--limit', '-']]])(
    '%j is refused with what to do',
    async (argv) => {
      await expect(paths(...argv)).rejects.toMatchObject({ code: 'ERR_HANDOFF_USAGE_FLAG' })
    },
  )
})
