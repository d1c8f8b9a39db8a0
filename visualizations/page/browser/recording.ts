/** All messages so far, and a place in them: live at the end, or anywhere, both ways. */
import { type Message, Scene } from '../scene.js'

/** Older ones go, so that a page may stay open for days. */
const MAX_MESSAGES = 20_000
/** Steps that move the picture; the rest is passed over. */
const SHOWN = new Set(['@xstate.snapshot', '@xstate.action', '@handoff.gone'])

export class Recording {
  messages: Message[] = []
  position = 0
  live = true
  scene = new Scene()

  add(message: Message): void {
    this.messages.push(message)
    if (this.live) {
      this.scene.apply(message)
      this.position = this.messages.length
    }
    if (this.messages.length <= MAX_MESSAGES) return
    const surplus = this.messages.length - MAX_MESSAGES
    // A definition must stay, or what follows has no picture.
    const kept = this.messages.slice(0, surplus + 1_000).filter(({ type }) => type === '@xstate.actor')
    this.messages = [...kept, ...this.messages.slice(surplus + 1_000)]
    this.position = Math.min(this.position, this.messages.length)
  }

  replace(messages: readonly Message[]): void {
    this.messages = [...messages]
    this.live = false
    this.to(this.messages.length)
  }

  to(position: number): void {
    const wanted = Math.max(0, Math.min(this.messages.length, position))
    if (wanted < this.position) {
      this.scene = new Scene()
      this.position = 0
    }
    for (const message of this.messages.slice(this.position, wanted)) this.scene.apply(message)
    this.position = wanted
  }

  step(by: 1 | -1): void {
    this.live = false
    let next = this.position + by
    while (next > 0 && next < this.messages.length && !this.#isShown(next)) next += by
    this.to(next)
  }

  goLive(): void {
    this.live = true
    this.to(this.messages.length)
  }

  #isShown(position: number): boolean {
    const message = this.messages[position - 1]
    return message !== undefined && SHOWN.has(message.type)
  }
}
