/** What contracts look at: a moment's effects by name, and demands that every role has in common. */
import type { Contract, Moment } from '../../explore/index.js'

export const does = ({ effects }: Moment, type: string): number =>
  effects.filter((effect) => effect.kind === 'action' && effect.type === type).length

export const paramsOf = ({ effects }: Moment, type: string): readonly unknown[] =>
  effects.flatMap((effect) => (effect.kind === 'action' && effect.type === type ? [effect.params] : []))

/** Kinds of the messages sent by this action, in order. */
export const kindsSent = (moment: Moment, type: string): readonly string[] =>
  paramsOf(moment, type).map((params) => (params as { kind: string }).kind)

export const starts = ({ effects }: Moment): readonly string[] =>
  effects.flatMap((effect) => (effect.kind === 'start' ? [effect.src] : []))

export const endOf = ({ event }: Moment): { readonly id: string; readonly failed: boolean } | null => {
  const [, how, id] = /^xstate\.(done|error)\.actor\.(.+)$/.exec(event.type) ?? []
  return id === undefined ? null : { id, failed: how === 'error' }
}

export const isDone = (moment: Moment, id: string): boolean => endOf(moment)?.id === id && !endOf(moment)?.failed
export const isFailed = (moment: Moment, id: string): boolean =>
  endOf(moment)?.id === id && endOf(moment)?.failed === true

/** Name of the delay whose timer fired, or null. */
export const clockOf = ({ event }: Moment): string | null => /^xstate\.after\.([^.]+)/.exec(event.type)?.[1] ?? null

/** Actors that run and are left without their end. */
export const abandons = (moment: Moment): readonly string[] =>
  moment.effects.flatMap((effect) => (effect.kind === 'stop' && endOf(moment)?.id !== effect.id ? [effect.id] : []))

export const runs = ({ after }: Moment, id: string): boolean => after.children.includes(id)
export const ran = ({ before }: Moment, id: string): boolean => before?.children.includes(id) === true

export const isOver = ({ after }: Moment): boolean => after.status === 'done'

/** Demands on every role. */
export function common<G>(): Contract<G>[] {
  return [
    {
      id: 'ENDS',
      says: 'the end of an actor that runs is never missed, whatever it is',
      holds: (_, moment) => endOf(moment) === null || moment.handled,
    },
    {
      id: 'RECORDED',
      says: 'what is recorded as unexpected is recorded under its name, and nothing else comes of it',
      holds: (_, moment) => {
        const [recorded, ...more] = paramsOf(moment, 'recordUnexpected') as { event: string }[]
        if (recorded === undefined) return true
        if (recorded.event !== moment.event.type || more.length > 0) return false
        return moment.effects.length === 1 && moment.before?.id === moment.after.id
      },
    },
  ]
}

/** One effect exactly when it is due. */
export const exactly = (moment: Moment, type: string, isDue: boolean): boolean => does(moment, type) === (isDue ? 1 : 0)
