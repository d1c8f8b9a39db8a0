/** Notices when a path is removed, by inotify(7): no polling, no wake-up in a quiet minute. */
import { existsSync, watch } from 'node:fs'
import { basename, dirname } from 'node:path'
import type { Logger } from '../observe/log.js'

/** Never keeps the process running, and never fails it: without inotify the path is simply not watched. @returns the way out */
export function watchPath(path: string, onLost: () => void, log: Logger): () => void {
  const name = basename(path)
  try {
    const watcher = watch(dirname(path), { persistent: false }, (_event, changed) => {
      if ((changed === null || changed === name) && !existsSync(path)) onLost()
    })
    watcher.on('error', (error) => log.warn({ err: error }, 'the control path is watched no longer'))
    return () => watcher.close()
  } catch (error) {
    log.warn({ err: error }, 'the control path cannot be watched')
    return () => {}
  }
}
