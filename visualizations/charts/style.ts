/** The look of all pictures. The page is opaque and follows the reader's own scheme, so text never meets a foreign ground. */

const LIGHT = {
  page: '#ffffff',
  edge: '#d0d7de',
  fill: '#f6f8fa',
  inside: '#ffffff',
  line: '#57606a',
  text: '#1f2328',
  dim: '#656d76',
  on: '#0969da',
  back: '#cf222e',
  undo: '#fff5f4',
  order: '#6e7781',
  accepts: '#2da44e',
  lock: '#d4a72c',
  gap: '#fff8c5',
}
const DARK: typeof LIGHT = {
  page: '#0d1117',
  edge: '#30363d',
  fill: '#161b22',
  inside: '#0d1117',
  line: '#8b949e',
  text: '#e6edf3',
  dim: '#9198a1',
  on: '#58a6ff',
  back: '#ff7b72',
  undo: '#211417',
  order: '#8b949e',
  accepts: '#3fb950',
  lock: '#e3b341',
  gap: '#2b2411',
}

const colours = (c: typeof LIGHT): string =>
  [
    `.page{fill:${c.page};stroke:${c.edge}}`,
    `.box{fill:${c.fill};stroke:${c.line}}`,
    `.compound{fill:${c.inside};stroke:${c.edge}}`,
    `.undo{fill:${c.undo};stroke:${c.back}}`,
    `.inner{stroke:${c.line}}`,
    `.start{fill:${c.text}}`,
    `text{fill:${c.text}}`,
    `.does,.tags{fill:${c.dim}}`,
    `.label.back,.from{fill:${c.back}}`,
    `.label.on{fill:${c.on}}`,
    `.label{stroke:${c.page}}`,
    `.arrow.on{stroke:${c.on}}.head.on{fill:${c.on}}`,
    `.arrow.back{stroke:${c.back}}.head.back{fill:${c.back}}`,
    `.arrow.order{stroke:${c.order}}.head.order{fill:${c.order}}`,
    `.dot,.point{fill:${c.order}}`,
    `.life{fill:${c.order}}.accepts{fill:${c.accepts}}.lock{fill:${c.lock}}.gap{fill:${c.gap}}`,
    `.fault{fill:${c.back}}.cross{stroke:${c.back}}.phase,.clock{fill:${c.dim}}`,
  ].join('')

export const STYLE = [
  'text{font:11px Helvetica,Arial,"Liberation Sans",sans-serif}',
  '.name{font-size:13px;font-weight:bold}',
  '.tags{font-size:10.5px;font-style:italic}.does,.from{font-size:10.5px}',
  '.inner,.arrow{fill:none}.arrow{stroke-width:1.4}.arrow.back{stroke-dasharray:5 3}.arrow.order{stroke-dasharray:1.5 2.5}',
  '.undo{stroke-dasharray:5 3}.label{stroke-width:3px;paint-order:stroke;stroke-linejoin:round}',
  '.middle,.lane{text-anchor:middle}',
  '.lane{font-size:12px;font-weight:bold}.fault{font-weight:bold}.cross{fill:none;stroke-width:2.5}',
  '.phase{font-size:10px;font-style:italic;text-anchor:end}.clock{font-style:italic}',
  colours(LIGHT),
  `@media(prefers-color-scheme:dark){${colours(DARK)}}`,
].join('')
