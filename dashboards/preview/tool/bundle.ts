// The page as one script and one style sheet.

import { build } from 'esbuild';

export interface Bundle {
  script: Uint8Array;
  style: Uint8Array;
}

export async function bundle(): Promise<Bundle> {
  const { outputFiles } = await build({
    entryPoints: { page: 'src/page.tsx' },
    bundle: true,
    write: false,
    outdir: 'build',
    format: 'esm',
    jsx: 'automatic',
    minify: true,
    logLevel: 'error',
    define: { 'process.env.NODE_ENV': '"production"', 'process.env.JEST_WORKER_ID': 'undefined', global: 'window' },
    loader: { '.svg': 'dataurl', '.woff2': 'dataurl', '.woff': 'dataurl', '.ttf': 'dataurl' },
  });
  const file = (ending: string) => outputFiles.find(({ path }) => path.endsWith(ending))!.contents;
  return { script: file('.js'), style: file('.css') };
}
