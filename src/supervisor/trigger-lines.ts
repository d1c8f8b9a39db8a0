/**
 * What is said on the trigger socket. Two languages, told apart by the first character: the reference's one line, and
 * JSON lines of our own (`{"v":1,"cmd":…}`) that tell an operator's tool more.
 */
import { isHandoffError } from '../errors/handoff-error.js'
import { triggerError } from '../errors/trigger.js'
import type { RehearsalReport, SupervisorStatus, SwapOutcome } from './types.js'

/** Longest command, bytes (wire spec, "Trigger socket"). */
export const MAX_COMMAND_BYTES = 4096

export const TRIGGER_COMMANDS = ['swap', 'rehearse', 'status', 'watch', 'stop', 'leave'] as const
export type TriggerCommand = (typeof TRIGGER_COMMANDS)[number]

export interface TriggerRequest {
  readonly language: 'text' | 'json'
  readonly cmd: TriggerCommand
  readonly binary?: string
}

/** A refusal as it travels. */
export interface ErrorLine {
  readonly v: 1
  readonly event: 'error'
  readonly code: string
  readonly happened: string
  readonly now: string
  readonly todo: string
}

/** Answers to a JSON request: any number of `phase` lines, then one of the others; to `watch`, a `status` for each change. */
export type TriggerEvent =
  | {
      readonly v: 1
      readonly event: 'phase'
      readonly handoffId: string
      readonly phase: string
      readonly elapsedMs: number
      readonly budgetMs: number
    }
  | { readonly v: 1; readonly event: 'outcome'; readonly outcome: SwapOutcome }
  /** At once, so that a client knows that it is taken: the report comes when the process is gone again. */
  | { readonly v: 1; readonly event: 'rehearsing'; readonly binary: string }
  | { readonly v: 1; readonly event: 'rehearsal'; readonly rehearsal: RehearsalReport }
  | { readonly v: 1; readonly event: 'status'; readonly status: SupervisorStatus }
  | { readonly v: 1; readonly event: 'stopping' }
  | ErrorLine

/** @throws HandoffError ERR_HANDOFF_USAGE_TRIGGER_COMMAND */
export function parseRequest(line: string): TriggerRequest {
  const text = line.trim()
  if (text.startsWith('{')) return parseJson(text)
  const match = /^handoff(?:\s+(.+))?$/.exec(text)
  if (match === null) throw noCommand(text)
  return { language: 'text', cmd: 'swap', ...(match[1] === undefined ? {} : { binary: match[1] }) }
}

function parseJson(text: string): TriggerRequest {
  let request: unknown
  try {
    request = JSON.parse(text)
  } catch (error) {
    throw noCommand(text, error)
  }
  const { v, cmd, binary, ...rest } = request as Record<string, unknown>
  const isKnown = v === 1 && TRIGGER_COMMANDS.includes(cmd as TriggerCommand) && Object.keys(rest).length === 0
  const binaryFits =
    binary === undefined || ((cmd === 'swap' || cmd === 'rehearse') && typeof binary === 'string' && binary !== '')
  if (!isKnown || !binaryFits) throw noCommand(text)
  return { language: 'json', cmd: cmd as TriggerCommand, ...(typeof binary === 'string' ? { binary } : {}) }
}

const noCommand = (text: string, cause?: unknown) =>
  triggerError('ERR_HANDOFF_USAGE_TRIGGER_COMMAND', [text.length > 200 ? `${text.slice(0, 200)}…` : text], cause)

/** The reference's answer: `ok: …` says how the swap ended; when nobody serves there is nothing ok about it. */
export function outcomeLine(outcome: SwapOutcome): string {
  const reason = outcome.reason ?? outcome.code ?? 'no reason was given'
  if (outcome.result === 'nobodyServes') return oneLine(`err: handoff_id=${outcome.handoffId} nobody serves: ${reason}`)
  const committed = outcome.result === 'committed'
  const abort = committed ? 'None' : `Some(${rustDebug(reason)})`
  return `ok: handoff_id=${outcome.handoffId} committed=${committed} abort_reason=${abort}`
}

export const errorText = (error: unknown): string => oneLine(`err: ${(error as Error).message}`)

export function errorLine(error: unknown): ErrorLine {
  const known = isHandoffError(error) ? error : triggerError('ERR_HANDOFF_UNFORESEEN', [(error as Error).message])
  const { code, happened, now, todo } = known
  return { v: 1, event: 'error', code, happened, now, todo }
}

const oneLine = (text: string) => text.replace(/[\r\n]+/g, ' ')

const ESCAPES: Readonly<Record<string, string>> = {
  '"': '\\"',
  '\\': '\\\\',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
  '\0': '\\0',
}

/** A string as Rust's `{:?}` writes it: what does not print becomes `\u{hex}`, quotes and backslashes are escaped. */
export function rustDebug(text: string): string {
  const escaped = text.replace(/["\\]|[\p{C}\p{Z}\p{Grapheme_Extend}]/gu, (char) => {
    if (char === ' ') return char
    return ESCAPES[char] ?? `\\u{${(char.codePointAt(0) ?? 0).toString(16)}}`
  })
  return `"${escaped}"`
}
