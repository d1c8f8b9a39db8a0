import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { paths } from '../../examples/own-world.js'

/** What a user would have: a program that can be told what to do, and asked how it is. */
class Lamp {
  state = 'off'
  do(label: string): void {
    if (label === 'bulb.broke') this.state = 'dark'
    else this.state = this.state === 'off' ? 'on' : 'off'
  }
}

describe.each(paths)('path $#', ({ steps }) => {
  test(steps.map(({ label }) => label).join(', '), () => {
    const daemon = new Lamp()
    for (const { label, state } of steps) {
      daemon.do(label)
      expect(daemon.state).toBe(state)
    }
  })
})

test('the paths together take every transition', () => {
  const taken = new Set(paths.flatMap(({ steps }) => steps.flatMap(({ covers }) => covers ?? [])))
  expect([...taken].filter((id) => /pressed|broke/.test(id))).toHaveLength(3)
})

test('the README shows this very program', () => {
  const program = readFileSync(new URL('../../examples/own-world.ts', import.meta.url), 'utf8')
  const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8')
  expect(readme).toContain(program.replace("'../machines/explore/index.js'", "'handoff-machines/explore'").trim())
})
