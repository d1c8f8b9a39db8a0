/** What no path drives on real processes, each with the reason. `npm run test:paths` fails when one of them is driven all the same. */
export const NOT_DRIVEN: Readonly<Record<string, string>> = {
  'supervisor.recovering.lookingForHolder done(lookAround) #1':
    'needs two takings of listeners to fail in one recovery: two faults more than the death of the supervisor',
  'supervisor.recovering.lookingForHolder done(lookAround) #2':
    'needs a process that publishes its path between two looks and does not serve yet: a step of ours that no other process interrupts',
  'supervisor.recovering.awaitingHolder.looking error(lookAround) #0':
    'needs a look to fail after a supervisor was killed between fork and record: no explored world has both faults',
  'supervisor.lookingOnceMore done(lookAround) #0':
    'needs somebody to serve between two looks whom both the last swap and the start that failed have left behind: no explored world up to three faults gets there',
}
