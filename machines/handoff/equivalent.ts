const WATCHED =
  'being watched ends with this process: who comes after a death between the two finds the one that serves on the control path, with the record or without it'

/** Mutants that nobody needs to notice, each with its reason. One that is noticed after all, or is gone, is stale. */
export const EQUIVALENT: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  supervisor: {
    'supervisor.swapping done(swap) #1: swapActions retireIncumbent[2] reportOutcome':
      'who asked hears the answer in a later turn than this one, and after a death between the two nobody has been retired either way',
    'supervisor.lookingOnceMore done(lookAround) #0: swapActions watchPrimitive[1] clearJournal': WATCHED,
    'supervisor.looking done(lookAround) #0: swapActions watchPrimitive[1] clearJournal': WATCHED,
    'supervisor.looking done(lookAround) #1: swapActions watchPrimitive[1] clearJournal': WATCHED,
  },
  swap: {
    'swap.undoing.tellingIncumbent entry: swapActions closeSuccessorChannel[0] recordJournal':
      'the successor is dead: nobody hears the end of its channel, and the record is written meanwhile',
    'swap.committed entry: swapActions sendToIncumbent[1] closeSuccessorChannel':
      'two streams to two processes, and the successor, which serves already, hears nothing on its own any more',
    'swap.committed entry: swapActions closeSuccessorChannel[2] closeIncumbentSession':
      'two streams to two processes: neither sees when the other one ends',
    'swap.rolledBack entry: swapActions closeIncumbentSession[1] clearJournal':
      'the record is removed meanwhile, and a supervisor that dies between the two closes the session by that',
    'swap.nobodyServes entry: swapActions closeSuccessorChannel[1] closeIncumbentSession':
      'both processes are gone: nobody hears either end',
    'swap.nobodyServes entry: swapActions closeIncumbentSession[2] clearJournal':
      'the record is removed meanwhile, and a supervisor that dies between the two closes the session by that',
  },
  incumbent: {
    'incumbent.draining entry: swapActions stopAccepting[0] startHeartbeat':
      'no heartbeat is due for two seconds after its start, so that nobody sees which of the two came first',
  },
}
