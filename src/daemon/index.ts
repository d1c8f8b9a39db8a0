/** Public door `handoff-machines/daemon`: make a daemon's program replaceable. */
export type { AttachedServer, ConnectionFacts } from './attach/attach-server.js'
export type { DrainOptions, DrainResult } from './attach/drain.js'
export type { Json, MovableProtocol, ParkAnswer } from './attach/movable-protocol.js'
export { type WebSocketMoves, webSockets } from './attach/web-sockets.js'
export { exitWithError } from './exit-with-error.js'
export type {
  Daemon,
  DaemonListener,
  DaemonOptions,
  HookLimits,
  ListenOptions,
  OpenContext,
  OpenDaemon,
  PrepareContext,
  Revision,
  SealContext,
  SealResult,
} from './options.js'
export { detectRole, type Role } from './role.js'
export { serveDaemon } from './serve-daemon.js'
export { type WarmUpOptions, type WarmUpRequest, warmUpHttp } from './warm-http.js'
