/** A bridge to the hosted Stately inspector: the only page here that loads something from the internet, and says so. */

export const STATELY_POLICY =
  "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; connect-src 'self' ws:; frame-src https://stately.ai; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

/** Only the three standard messages go on, and only to that origin. What came before the frame was ready is kept, bounded. */
export const STATELY_PAGE = `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Stately inspector</title>
<style>html,body{height:100%;margin:0;font:14px system-ui}p{margin:0;padding:6px 12px;background:#fff4d6;color:#3b2f00}iframe{width:100%;height:calc(100% - 32px);border:0}</style></head>
<body><p>This frame is loaded from https://stately.ai and is shown the states of your programs. The page at / needs no internet.</p>
<iframe id="inspector" src="https://stately.ai/inspect"></iframe>
<script>
const origin = 'https://stately.ai'
const standard = new Set(['@xstate.actor', '@xstate.event', '@xstate.snapshot'])
const frame = document.getElementById('inspector')
const kept = []
let connected = false
addEventListener('message', (event) => {
  if (event.origin !== origin || !event.data || event.data.type !== '@statelyai.connected') return
  connected = true
  for (const message of kept.splice(0)) frame.contentWindow.postMessage(message, origin)
})
const token = new URLSearchParams(location.hash.slice(1)).get('token') || ''
const socket = new WebSocket('ws://' + location.host + '/watch?token=' + encodeURIComponent(token))
socket.onmessage = ({ data }) => {
  const message = JSON.parse(data)
  if (!standard.has(message.type)) return
  if (connected) frame.contentWindow.postMessage(message, origin)
  else if (kept.push(message) > 2000) kept.shift()
}
</script></body></html>
`
