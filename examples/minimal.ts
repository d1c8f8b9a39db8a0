#!/usr/bin/env node
/** The fewest lines that can be handed off: a counter that survives every swap, behind a server that never refuses. */
import { readFile, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { exitWithError, serveDaemon } from 'handoff-machines/daemon'

const [controlSocket = '/tmp/minimal.sock', dataDir = '/tmp/minimal', port = '8080'] = process.argv.slice(2)

await serveDaemon({
  controlSocket,
  dataDir,
  listeners: { http: { port: Number(port) } },
  async open({ listeners }) {
    let hits = Number(await readFile(`${dataDir}/hits`, 'utf8').catch(() => 0))
    const save = () => writeFile(`${dataDir}/hits`, `${hits}`, { flush: true })
    listeners.http.attach(createServer((_, response) => response.end(`${process.pid} ${++hits}\n`)))
    return { revisions: () => [hits], seal: save, close: save }
  },
}).catch(exitWithError)
