/** Bundles the inspector page into one file that needs nothing else: no network, no CDN. Run by `npm run build`. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { build } from 'esbuild'

export async function buildPage(): Promise<string> {
  const browser = join(packageRoot(), 'visualizations', 'page', 'browser')
  const { outputFiles } = await build({
    entryPoints: [join(browser, 'main.ts')],
    bundle: true,
    minify: true,
    write: false,
    format: 'esm',
    target: 'es2022',
    // Sources name their siblings as they are called once compiled.
    resolveExtensions: ['.ts', '.js', '.json'],
    define: { 'process.env.NODE_ENV': '"production"' },
    legalComments: 'none',
  })
  const script = (outputFiles[0]?.text ?? '').replaceAll('</script', '<\\/script')
  const styles = ['style.css', 'panels.css', 'exchange.css'].map((name) => readFileSync(join(browser, name), 'utf8'))
  // By function: '$&' in the script is no placeholder.
  return readFileSync(join(browser, 'index.html'), 'utf8')
    .replace('/*style*/', () => styles.join('\n'))
    .replace('/*script*/', () => script)
}

function packageRoot(): string {
  let root = dirname(fileURLToPath(import.meta.url))
  while (!existsSync(join(root, 'binding.gyp')) && dirname(root) !== root) root = dirname(root)
  return root
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const out = join(dirname(fileURLToPath(import.meta.url)), 'index.html')
  mkdirSync(dirname(out), { recursive: true })
  writeFileSync(out, await buildPage())
}
