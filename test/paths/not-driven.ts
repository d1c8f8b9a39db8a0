/** What no path drives on real processes, each with the reason. `npm run test:paths` fails when one of them is driven all the same. */
const NOT_ATTENDED =
  'a process that does not serve closes each connection before it greets (INV-09), so none can become its session here'

export const NOT_DRIVEN: Readonly<Record<string, string>> = {
  'incumbent.publishing supervisor.attended #0': NOT_ATTENDED,
  'incumbent.publishing supervisor.disconnected #0': NOT_ATTENDED,
  'incumbent.republishing supervisor.attended #0': NOT_ATTENDED,
  'swap successor.exited #0':
    'every state in which a successor can live has an answer of its own; this one is the net below them',
  'swap.undoing.resumingIncumbent.unheard incumbent.disconnected #0':
    'the session is closed as this state is entered, and nothing is heard on a closed one',
  'supervisor.lookingOnceMore done(lookAround) #0':
    'needs somebody to serve between two looks whom both the last swap and the start that failed have left behind: no explored world up to three faults gets there',
}
