/** What each state means, for somebody who has never seen a statechart. States without an entry read as their name. */

const WORDS: Readonly<Record<string, string>> = {
  'supervisor.recovering': 'looks whether a program is already alive, before it binds or starts anything',
  'supervisor.recovering.adopting': 'a living program was found: takes its listeners back from it',
  'supervisor.recovering.fencing': 'something of an unfinished swap neither serves nor ends: it is removed',
  'supervisor.starting': 'starts the program and waits until it answers',
  'supervisor.serving': 'a program serves; ready for a swap',
  'supervisor.serving.rehearsing': 'a program serves; a new build is tried beside it, and is ended in any case',
  'supervisor.swapping': 'a swap is under way',
  'supervisor.settled': 'the swap has ended',
  'supervisor.pausing': 'the program died: waits a moment before it is started again; clients wait in the queue',
  'supervisor.pausing.crashLooping': 'it died many times in a row: tries only now and then',
  'supervisor.looking': 'looks who serves, before it starts another',
  'supervisor.stopping': 'stops the program in order',
  'supervisor.stopped': 'ended in order',
  'supervisor.failed': 'could not start',

  'swap.journaling': 'notes on disk that a swap begins',
  'swap.spawning': 'starts the new program; the old one serves on',
  'swap.attempting.awaitingSuccessor': 'the new program warms up; the old one serves on',
  'swap.attempting.recording': 'notes on disk who takes part',
  'swap.attempting.dialling': 'calls the old program on its control socket',
  'swap.attempting.awaitingIncumbent': 'waits for the old program’s Hello',
  'swap.attempting.draining': 'the old program finishes what it has begun',
  'swap.attempting.sealing': 'the old program makes its data durable and lets go of the lock',
  'swap.attempting.doubting': 'the old program hung up: waits a moment for the news of its end',
  'swap.attempting.doubtingSuccessor': 'the new program hung up: waits a moment for the news of its end',
  'swap.attempting.opening': 'the new program takes the lock and opens the data',
  'swap.verifying': 'the new program was told to serve: is it really answering?',
  'swap.probation': 'the new program serves, and the old one stays ready to take over again',
  'swap.undoing': 'something went wrong: back to the old program',
  'swap.undoing.endingSuccessor': 'the new program is ended first',
  'swap.undoing.resumingIncumbent': 'the old program serves again',
  'swap.undoing.endingIncumbent': 'the old program does not come back either: it is ended, and a fresh one is started',
  'swap.committed': 'done: the new program serves',
  'swap.rolledBack': 'rolled back: the old program serves',
  'swap.nobodyServes': 'nobody serves: a fresh program is started next',

  'incumbent.starting': 'has just come to life',
  'incumbent.acquiringLock': 'wants the lock on the data',
  'incumbent.opening': 'has the lock, and opens the data',
  'incumbent.publishing': 'puts up its control socket',
  'incumbent.serving': 'serves: accepts clients and owns the data',
  'incumbent.serving.attended': 'serves; a supervisor is talking to it',
  'incumbent.copying': 'serves; hands live connections over ahead of time',
  'incumbent.draining': 'accepts nobody new, finishes what it has begun; clients wait in the kernel’s queue',
  'incumbent.drained': 'nothing is in flight any more',
  'incumbent.sealing': 'makes everything durable and closes the data',
  'incumbent.sealed': 'has let go of the lock; the new program may open the data',
  'incumbent.reclaiming': 'the swap is undone: wants the lock back',
  'incumbent.reopening': 'has the lock again, and opens the data from disk',
  'incumbent.undoingSeal': 'the seal failed: undone in memory',
  'incumbent.resuming': 'the swap is undone before anything was closed: goes on',
  'incumbent.republishing': 'puts its control socket up again',
  'incumbent.stopping': 'stops in order',
  'incumbent.closing': 'closes the data',
  'incumbent.exiting': 'has ended',

  'successor.waiting': 'warms up while the old program serves',
  'successor.waiting.preparing': 'warms up: loads and connects while the old program serves',
  'successor.waiting.copying': 'takes over live connections ahead of time',
  'successor.waiting.greeting': 'has said Hello',
  'successor.waiting.awaitingBegin': 'is warm, and waits for its turn',
  'successor.taking': 'takes over',
  'successor.taking.acquiringLock': 'takes the lock on the data',
  'successor.taking.opening': 'has the lock, and opens the data',
  'successor.taking.staging': 'prepares its control socket beside the old one',
  'successor.taking.ready': 'is ready: nothing can fail now',
  'successor.goingLive': 'puts its control socket in place',
  'successor.live': 'serves from here on',
  'successor.exiting': 'has ended; nobody was served from here',
}

/** @param active ids of the active states, outermost first */
export function wordsFor(active: readonly string[]): string {
  for (const id of [...active].reverse()) {
    const words = WORDS[id]
    if (words !== undefined) return words
  }
  return spelled(active.at(-1)?.split('.').at(-1) ?? '')
}

/** `awaitingIncumbent` → `awaiting incumbent`. */
export const spelled = (name: string): string =>
  name
    .replace(/Ms$/, '')
    .replace(/([a-z])([A-Z])/g, '$1 $2')
    .toLowerCase()

export const WORDED_STATES: readonly string[] = Object.keys(WORDS)
