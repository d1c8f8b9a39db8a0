/** Mutants that nobody needs to notice, each with its reason. One that is noticed after all, or is gone, is stale. */
export const EQUIVALENT: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  incumbent: {
    'incumbent.draining entry: swapActions stopAccepting[0] startHeartbeat':
      'no heartbeat is due for two seconds after its start, so that nobody sees which of the two came first',
  },
}
