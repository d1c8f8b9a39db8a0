/** `npm run docs`: rewrites the generated sections of README.md. */
import { readFileSync, writeFileSync } from 'node:fs'
import { docsSections, withSection } from './sections.js'

let readme = readFileSync('README.md', 'utf8')
for (const [name, content] of await docsSections()) readme = withSection(readme, name, content)
writeFileSync('README.md', readme)
