/**
 * One text per value: equal values give equal texts, different values different ones.
 *
 * `JSON.stringify` is not enough: it depends on the order of keys, turns a Map into `{}` and drops `undefined`. Two
 * states merged by mistake hide behaviour, so whatever has no honest text is refused here and not guessed.
 */

/** Thrown for a value that cannot be part of a state: a Map, a function, an instance of a class. */
export class NotCanonicalError extends Error {
  override readonly name = 'NotCanonicalError'
  constructor(what: string) {
    super(`${what} cannot be part of an explored state: use plain objects, arrays and primitives`)
  }
}

/**
 * The canonical text of `value`: plain objects (keys in any order), arrays, typed arrays and primitives.
 * An object with `toJSON` (an actor reference, for example) counts as what it returns.
 *
 * @throws NotCanonicalError for Map, Set, functions, symbols, errors and other instances of classes.
 */
export function canonical(value: unknown): string {
  switch (typeof value) {
    case 'string':
      return JSON.stringify(value)
    case 'number':
      return Object.is(value, -0) ? '-0' : String(value)
    case 'boolean':
      return value ? 'true' : 'false'
    case 'undefined':
      return 'undefined'
    case 'bigint':
      return `${value}n`
    case 'object':
      return value === null ? 'null' : canonicalObject(value)
    default:
      throw new NotCanonicalError(`a ${typeof value}`)
  }
}

function canonicalObject(value: object): string {
  if (Array.isArray(value)) {
    return `[${value.map(canonical).join(',')}]`
  }
  if ('toJSON' in value && typeof value.toJSON === 'function') {
    return canonical((value as { toJSON(): unknown }).toJSON())
  }
  if (ArrayBuffer.isView(value) && Symbol.iterator in value) {
    return `${value.constructor.name}[${[...(value as unknown as Iterable<number | bigint>)].join(',')}]`
  }
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype !== Object.prototype && prototype !== null) {
    throw new NotCanonicalError(`an instance of ${value.constructor?.name ?? 'a class'}`)
  }
  const record = value as Readonly<Record<string, unknown>>
  let text = ''
  for (const key of Object.keys(record).sort()) {
    text += `${text === '' ? '' : ','}${JSON.stringify(key)}:${canonical(record[key])}`
  }
  return `{${text}}`
}
