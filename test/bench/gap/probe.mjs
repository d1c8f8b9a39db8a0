/** `node --import <this file> program.mjs`: marks frames in and out, the last accept and the first, from outside of the program. */
import net from 'node:net'
import { mark, markFrames } from './marks.mjs'

const { ByteChannel } = await import(`${process.env.HANDOFF_COMPILED}/dist/src/os/byte-channel.js`)
const { HandoffDecoder } = await import(`${process.env.HANDOFF_COMPILED}/dist/src/wire/handoff.js`)

const { write } = ByteChannel.prototype
ByteChannel.prototype.write = function (bytes) {
  markFrames('out', bytes)
  return write.call(this, bytes)
}
const { push } = HandoffDecoder.prototype
HandoffDecoder.prototype.push = function (bytes) {
  markFrames('in', bytes)
  return push.call(this, bytes)
}
const { close, listen } = net.Server.prototype
net.Server.prototype.close = function (...args) {
  const result = close.apply(this, args)
  mark('stopped')
  return result
}
net.Server.prototype.listen = function (...args) {
  const result = listen.apply(this, args)
  if (typeof args[0]?.fd === 'number') mark('started')
  return result
}
