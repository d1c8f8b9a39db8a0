/** A stand-in for an argument of an error's text: whatever is done to it, it reads as its own name. */
export function placeholder(name: string): unknown {
  const text = `<${name}>`
  const standIn: unknown = new Proxy(() => {}, {
    get(_target, property) {
      if (property === Symbol.toPrimitive || property === 'toString') return () => text
      return standIn
    },
    apply: () => standIn,
  })
  return standIn
}
