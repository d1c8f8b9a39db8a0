/** The supervisor's journal ⇄ bytes (wire spec, "Journal"): what a restarted supervisor reads first (INV-07). */
import { JOURNAL_PHASES, type Journal } from '../../machines/handoff/protocol.js'
import { wireError } from '../errors/wire.js'
import { handoffId, type Layout, oneOf, option, readLayout, u32, u64, writeLayout } from './fields.js'
import { PostcardFault, PostcardReader, PostcardWriter } from './postcard.js'

const LAYOUT: Layout<Journal> = {
  handoffId,
  phase: oneOf(JOURNAL_PHASES),
  incumbentPid: u32,
  successorPid: option(u32),
  startedAtUnixMs: u64,
}

/** Longest encoding, bytes: id 17, phase 1, two pids and their tag 11, time 10. */
const LIMIT_BYTES = 39

/** @throws ERR_HANDOFF_USAGE_WIRE_FIELD */
export function encodeJournal(journal: Journal): Uint8Array {
  const writer = new PostcardWriter(LIMIT_BYTES)
  writeLayout(writer, LAYOUT, journal, 'Journal')
  return writer.finish()
}

/** Bytes behind the record are ignored, as the reference does. @throws ERR_HANDOFF_STATE_JOURNAL_MALFORMED with the PostcardFault as cause. */
export function decodeJournal(bytes: Uint8Array): Journal {
  try {
    return readLayout(new PostcardReader(bytes), LAYOUT)
  } catch (error) {
    if (!(error instanceof PostcardFault)) throw error
    throw wireError('ERR_HANDOFF_STATE_JOURNAL_MALFORMED', [error.message], error)
  }
}
