/** What to do about a swap that did not commit. Names the key of handoff.toml that cures it, where one does. */

const ADVICE: Readonly<Record<string, string>> = {
  ERR_HANDOFF_DEADLINE_TIMEOUT: 'make the slow phase above faster, or raise deadline_secs in handoff.toml',
  ERR_HANDOFF_SUCCESSOR_HELLO_TIMEOUT: 'see why the new program starts slowly, or raise boot_secs in handoff.toml',
  ERR_HANDOFF_SUCCESSOR_NOT_SERVING: 'see its log; if it only needs longer, raise confirm_secs in handoff.toml',
  ERR_HANDOFF_SUCCESSOR_SILENT: 'see whether it blocks without a sign of life, or raise liveness_secs in handoff.toml',
  ERR_HANDOFF_INCUMBENT_SILENT: 'see whether it blocks without a sign of life, or raise liveness_secs in handoff.toml',
  ERR_HANDOFF_SPAWN: 'run the binary by hand; check its path, its execute permission and its #! line',
  ERR_HANDOFF_JOURNAL_WRITE: 'check free space and permissions of the journal’s directory',
  ERR_HANDOFF_INCUMBENT_RESUME: 'see the log of the incumbent, or raise resume_secs in handoff.toml',
}

const OTHERWISE = 'read the log of both programs around this moment, repair, and swap again'

export const adviceFor = (code: string): string =>
  Object.hasOwn(ADVICE, code) ? (ADVICE[code] ?? OTHERWISE) : OTHERWISE
