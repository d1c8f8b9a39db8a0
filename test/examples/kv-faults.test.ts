import { describe, expect, test } from 'vitest'
import { parseFaults } from '../../examples/kv-faults.js'

describe('the list', () => {
  test('is comma-separated; spaces and empty entries do no harm', () => {
    const faults = parseFaults(', hang ,,unhealthy,')
    expect(faults.has('hang')).toBe(true)
    expect(faults.has('unhealthy')).toBe(true)
    expect(faults.has('crash-before-ready')).toBe(false)
    expect(parseFaults('').has('hang')).toBe(false)
  })

  test.each([
    ['explode', 'unknown fault'],
    ['toString', 'unknown fault'],
    ['slow-open', 'needs a number of ms'],
    ['slow-open=', 'needs a number of ms'],
    ['slow-open=-1', 'needs a number of ms'],
    ['slow-open=1e3', 'needs a number of ms'],
    ['slow-open=9999999999', 'needs a number of ms'],
    ['slow-seal-sync=1=2', 'needs a number of ms'],
    ['hang=5', 'takes no value'],
    ['hang=', 'takes no value'],
    ['seal-fails=0', 'takes a number of times'],
    ['seal-fails=once', 'takes a number of times'],
  ])('refuses %s and says why', (list, why) => {
    expect(() => parseFaults(list)).toThrow(why)
  })
})

test.each(['open', 'drain', 'seal'] as const)('%s-fails strikes its own hook each time', async (hook) => {
  const faults = parseFaults(`${hook}-fails`)
  for (const each of ['open', 'drain', 'seal'] as const) {
    const struck = faults.beforeHook(each)
    if (each === hook) await expect(struck).rejects.toThrow(`${hook} fails`)
    else await expect(struck).resolves.toBeUndefined()
  }
  await expect(faults.beforeHook(hook)).rejects.toThrow(`${hook} fails`)
})

test('a number of times limits how often a hook fails', async () => {
  const faults = parseFaults('seal-fails=2')
  await expect(faults.beforeHook('seal')).rejects.toThrow()
  await expect(faults.beforeHook('seal')).rejects.toThrow()
  await expect(faults.beforeHook('seal')).resolves.toBeUndefined()
})

test('slow-…-sync keeps every timer of the process from running, slow-… does not', async () => {
  const ran: string[] = []
  const tick = () => setTimeout(() => ran.push('tick'), 1)
  tick()
  await parseFaults('slow-seal=50').beforeHook('seal')
  ran.push('slow done')
  const blocked = parseFaults('slow-seal-sync=50').beforeHook('seal')
  // beforeHook gives way once before it blocks; whatever is due by then runs first, what comes later must wait.
  setTimeout(() => ran.push('late tick'), 10)
  await blocked
  ran.push('blocked done')
  expect(ran).toEqual(['tick', 'slow done', 'blocked done'])
})

test('without a fault no hook is touched', async () => {
  const faults = parseFaults('')
  await faults.beforeHook('open')
  await faults.beforeHook('drain')
  await faults.beforeHook('seal')
  await faults.beforeReady()
})
