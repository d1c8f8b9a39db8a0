/** One JSON log line as a person reads it: `12:04:05.123 WARN  handoff.abort  the successor exited  pid=4 code=1`. */

const COLOURS: Readonly<Record<string, string>> = { WARN: '33', ERROR: '31', FATAL: '31;1', DEBUG: '2', TRACE: '2' }
const LEVELS: Readonly<Record<number, string>> = {
  10: 'TRACE',
  20: 'DEBUG',
  30: 'INFO',
  40: 'WARN',
  50: 'ERROR',
  60: 'FATAL',
}

export function plainLine(json: string, colour: boolean): string {
  const { level, time, pid: _pid, msg, event, err, ...rest } = JSON.parse(json) as Record<string, unknown>
  const name = LEVELS[level as number] ?? String(level)
  const words = [
    String(time).slice(11, 23),
    paint(name.padEnd(5), COLOURS[name], colour),
    ...(event === undefined ? [] : [String(event)]),
    ...(msg === undefined ? [] : [String(msg)]),
    ...Object.entries({ ...rest, ...(err === undefined ? {} : { error: errorText(err) }) }).map(
      ([key, value]) => `${key}=${typeof value === 'string' ? quoteIfNeeded(value) : JSON.stringify(value)}`,
    ),
  ]
  return `${words.join(' ')}\n`
}

const paint = (text: string, code: string | undefined, on: boolean) =>
  on && code !== undefined ? `\x1b[${code}m${text}\x1b[0m` : text

const quoteIfNeeded = (text: string) => (/^[^\s"=]+$/.test(text) ? text : JSON.stringify(text))

function errorText(err: unknown): string {
  const { code, message } = err as { code?: string; message?: string }
  return [code, message].filter((part) => part !== undefined).join(': ')
}
