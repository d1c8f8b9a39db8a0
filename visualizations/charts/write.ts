/** `npm run charts`: rewrites visualizations/generated, and removes what is generated no more. */
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { chartFiles, GENERATED } from './files.js'

const files = await chartFiles()
mkdirSync(GENERATED, { recursive: true })
for (const name of readdirSync(GENERATED)) if (!files.has(GENERATED + name)) rmSync(GENERATED + name)
for (const [path, content] of files) writeFileSync(path, content)
