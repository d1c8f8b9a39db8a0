/** Text without a browser: widths by the metrics of Helvetica, which Arial and Liberation Sans share. */

const WIDTHS =
  '278 278 355 556 556 889 667 191 333 333 389 584 278 333 278 278 556 556 556 556 556 556 556 556 556 556 278 278 584 584 584 556 ' +
  '1015 667 667 722 722 667 611 778 722 278 500 667 556 833 722 778 667 778 722 667 611 722 667 944 667 667 611 278 278 278 469 556 ' +
  '333 556 556 500 556 556 278 556 556 222 222 500 222 833 556 556 556 556 333 500 278 556 500 722 500 500 500 334 260 334 584'
const ADVANCES = WIDTHS.split(' ').map(Number)
/** Room for fonts that are a little wider than these. */
const MARGIN = 1.05
const BOLD = 1.08

/** A space that no line is broken at. */
export const FIRM = '\u00a0'

/** Width in px of a text set in a sans-serif font of `size` px. */
export function widthOf(text: string, size: number, bold = false): number {
  let units = 0
  for (const character of text.replaceAll(FIRM, ' ')) units += ADVANCES[character.charCodeAt(0) - 32] ?? 700
  return Math.ceil(((units * size) / 1000) * MARGIN * (bold ? BOLD : 1))
}

/** Breaks at spaces so that no line is wider than `limit` px, unless one word alone is. */
export function wrap(text: string, size: number, limit: number): string[] {
  const lines: string[] = []
  let line = ''
  for (const word of text.split(' ')) {
    const longer = line === '' ? word : `${line} ${word}`
    if (line !== '' && widthOf(longer, size) > limit) {
      lines.push(line)
      line = word
    } else {
      line = longer
    }
  }
  return [...lines, line]
}

export const escapeXml = (text: string): string =>
  text.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;').replace(/"/g, '&quot;')
