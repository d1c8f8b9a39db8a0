/** The page: messages in, picture out, keys and buttons. */
import type { Message, SwapView } from '../scene.js'
import { readTrace } from '../trace-file.js'
import { ChartView } from './chart-view.js'
import { byId, html, ms } from './dom.js'
import { Recording } from './recording.js'
import { sequenceOf } from './sequence-view.js'
import { timelineOf } from './timeline-view.js'

const recording = new Recording()
const token = new URLSearchParams(location.hash.slice(1)).get('token') ?? ''
let chosen: string | null = null

const TITLES = {
  supervisor: 'Supervisor',
  swap: 'The swap it conducts',
  incumbent: 'Incumbent: the running program',
  successor: 'Successor: the new program',
}
type Role = keyof typeof TITLES
const charts = byId('charts')
const views = Object.fromEntries(
  Object.entries(TITLES).map(([role, title], i) => [role, new ChartView(title, () => enlarge(i))]),
) as Record<Role, ChartView>
for (const view of Object.values(views)) charts.append(view.element)

function enlarge(index: number): void {
  const panels = [...charts.children]
  const wasLarge = panels[index]?.classList.contains('large') === true
  for (const panel of panels) panel.classList.remove('large')
  charts.classList.toggle('one', !wasLarge)
  if (!wasLarge) panels[index]?.classList.add('large')
  redraw()
}

let due = false
function redraw(): void {
  if (due) return
  due = true
  requestAnimationFrame(() => {
    due = false
    draw()
  })
}

function draw(): void {
  const { scene } = recording
  const cast = scene.cast()
  for (const role of Object.keys(views) as Role[]) views[role].show(cast[role])
  byId('lamps').replaceChildren(
    ...scene
      .lamps()
      .map(({ id, title, says, state }) =>
        html(
          'div',
          { class: 'lamp', 'data-state': state, 'data-id': id },
          html('div', {}, html('b', {}, title, html('i', {}, id)), html('small', {}, says)),
        ),
      ),
  )
  const swap = scene.swaps.find(({ sessionId }) => sessionId === chosen) ?? scene.swap
  const sequence = byId('sequence')
  const atEnd = sequence.scrollTop + sequence.clientHeight >= sequence.scrollHeight - 40
  sequence.replaceChildren(sequenceOf(swap))
  if (atEnd || scene.swapping) sequence.scrollTop = sequence.scrollHeight
  byId('timeline').replaceChildren(...timelineOf(scene.swaps, swap, time(), choose))
  byId('story').textContent = story()
  const position = byId<HTMLInputElement>('position')
  position.max = String(recording.messages.length)
  position.value = String(recording.position)
  byId('live').setAttribute('aria-pressed', String(recording.live))
  const at = recording.messages[recording.position - 1]?.createdAt
  byId('where').textContent =
    at === undefined
      ? ''
      : `${new Date(Number(at)).toLocaleTimeString()} · ${recording.position} of ${recording.messages.length}`
  tick()
}

function story(): string {
  const { scene } = recording
  const { swap } = scene
  const [pid] = scene.accepting()
  if (recording.messages.length === 0) return 'waiting for the first word of a supervisor or a daemon'
  if (swap !== null && swap.endedAt === null) {
    return `swap under way: ${swap.phases.at(-1)?.name ?? ''}, ${ms(time() - swap.startedAt)} so far`
  }
  if (pid === undefined) return 'nobody accepts at this moment'
  return `pid ${pid} serves${swap?.result ? `; the last swap was ${swap.result === 'committed' ? 'committed' : 'rolled back'} in ${ms((swap.endedAt ?? 0) - swap.startedAt)}` : ''}`
}

/** Now, or the moment that is being looked at. */
const time = (): number => (recording.live ? Date.now() : recording.scene.now)

function tick(): void {
  const now = time()
  for (const view of Object.values(views)) view.tick(now)
}
setInterval(() => {
  if (!recording.live) return
  tick()
  if (recording.scene.swapping) byId('story').textContent = story()
}, 100)

function choose(swap: SwapView): void {
  chosen = chosen === swap.sessionId ? null : swap.sessionId
  redraw()
}

function link(state: 'open' | 'closed' | 'file', text: string): void {
  const pill = byId('link')
  pill.dataset.state = state
  pill.textContent = text
}

function connect(pauseMs = 500): void {
  if (location.protocol === 'file:') {
    link('file', 'drop a trace here')
    return
  }
  const socket = new WebSocket(`ws://${location.host}/watch?token=${encodeURIComponent(token)}`)
  socket.onopen = () => {
    // What is told again starts from nothing.
    recording.messages = []
    recording.position = 0
    recording.to(0)
    if (recording.live) recording.goLive()
    link('open', 'connected')
    redraw()
  }
  socket.onmessage = ({ data }) => {
    recording.add(JSON.parse(String(data)) as Message)
    redraw()
  }
  socket.onclose = () => {
    link('closed', 'not connected')
    setTimeout(() => connect(Math.min(pauseMs * 2, 5_000)), pauseMs)
  }
}

function play(text: string, name: string): void {
  recording.replace(readTrace(text))
  chosen = null
  link('file', name)
  redraw()
}

async function openFiles(files: FileList | null): Promise<void> {
  if (files === null || files.length === 0) return
  play(
    (await Promise.all([...files].map((file) => file.text()))).join('\n'),
    [...files].map(({ name }) => name).join(', '),
  )
}

function save(): void {
  const text = recording.messages.map((message) => `${JSON.stringify(message)}\n`).join('')
  const href = URL.createObjectURL(new Blob([text], { type: 'application/x-ndjson' }))
  const anchor = html('a', { href, download: 'handoff-trace.ndjson' })
  anchor.click()
  URL.revokeObjectURL(href)
}

const theme = (name: string): void => {
  document.documentElement.dataset.theme = name
}
const toggleTheme = (): void => theme(document.documentElement.dataset.theme === 'dark' ? 'light' : 'dark')
const move = (change: () => void) => (): void => {
  change()
  redraw()
}
const actions: Readonly<Record<string, () => void>> = {
  ArrowLeft: move(() => recording.step(-1)),
  ArrowRight: move(() => recording.step(1)),
  Home: move(() => {
    recording.live = false
    recording.to(0)
  }),
  End: move(() => recording.goLive()),
  ' ': move(() => {
    if (recording.live) recording.live = false
    else recording.goLive()
  }),
  t: toggleTheme,
  s: save,
  '?': () => byId<HTMLDialogElement>('about').showModal(),
  Escape: () => {
    charts.classList.remove('one')
    for (const panel of charts.children) panel.classList.remove('large')
    redraw()
  },
  ...Object.fromEntries([1, 2, 3, 4].map((n) => [String(n), () => enlarge(n - 1)])),
}
const BUTTONS = { first: 'Home', back: 'ArrowLeft', forward: 'ArrowRight', live: ' ', theme: 't', save: 's', help: '?' }
for (const [id, key] of Object.entries(BUTTONS)) byId(id).addEventListener('click', () => actions[key]?.())
document.addEventListener('keydown', (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return
  const onButton = event.key === ' ' && event.target instanceof HTMLButtonElement
  const action = actions[event.key.length === 1 ? event.key.toLowerCase() : event.key]
  if (action === undefined || onButton) return
  event.preventDefault()
  action()
})
byId<HTMLInputElement>('position').addEventListener('input', (event) => {
  recording.live = false
  recording.to(Number((event.target as HTMLInputElement).value))
  redraw()
})
byId<HTMLInputElement>('file').addEventListener(
  'change',
  (event) => void openFiles((event.target as HTMLInputElement).files),
)
document.addEventListener('dragover', (event) => {
  event.preventDefault()
  document.body.classList.add('drop')
})
document.addEventListener('dragleave', () => document.body.classList.remove('drop'))
document.addEventListener('drop', (event) => {
  event.preventDefault()
  document.body.classList.remove('drop')
  void openFiles(event.dataTransfer?.files ?? null)
})

theme(matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light')
redraw()
const given = await fetch(`/trace?token=${encodeURIComponent(token)}`).catch(() => null)
if (given?.ok) play(await given.text(), given.headers.get('x-trace-name') ?? 'trace')
else connect()
