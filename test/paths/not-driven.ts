/** What no path drives on real processes, each with the reason. `npm run test:paths` fails when one of them is driven all the same. */
export const NOT_DRIVEN: Readonly<Record<string, string>> = {
  'supervisor.lookingOnceMore done(lookAround) #0':
    'needs somebody to serve between two looks whom both the last swap and the start that failed have left behind: no explored world up to three faults gets there',
}
