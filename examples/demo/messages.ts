/** What the demo and its client process say to each other, over the IPC channel of the fork. */
import type { Target } from './http-client.js'
import type { Tally } from './tally.js'

export type ToClients =
  | { readonly type: 'start'; readonly target: Target }
  /** Ends one measured window and begins the next. */
  | { readonly type: 'window' }
  | { readonly type: 'finish' }

export type FromClients =
  /** Every client has been answered once. */
  | { readonly type: 'running' }
  | { readonly type: 'window'; readonly longestPauseMs: number; readonly requests: number }
  | { readonly type: 'finished'; readonly tally: Tally }
