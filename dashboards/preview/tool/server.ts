// What the page asks for, on loopback: itself, the dashboards, the scene, and Prometheus' API passed on.

import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer, type IncomingMessage } from 'node:http';
import { basename, join, normalize } from 'node:path';
import { text } from 'node:stream/consumers';

import type { Bundle } from './bundle';

interface Sources {
  bundle: Bundle;
  dashboards: string;
  scene: string;
  prometheus: string;
}

const ICONS = '/public/build/img/icons';
const ICON_FILES = 'node_modules/@grafana/ui/dist/public/img/icons';

/** Weights and styles of the font that Grafana serves at these paths. */
const FONTS: Record<string, string> = {
  '/public/fonts/inter/Inter-Regular.woff2': '400-normal',
  '/public/fonts/inter/Inter-Medium.woff2': '500-normal',
  '/public/fonts/inter/Inter-Italic.woff2': '400-italic',
};

const PAGE = `<!doctype html><html lang="en"><head><meta charset="utf-8"><link rel="icon" href="data:,">
<link rel="stylesheet" href="/page.css"></head>
<body><div id="root"></div><script type="module" src="/page.js"></script></body></html>`;

type Answer = [type: string, body: string | Uint8Array];

export async function serve(sources: Sources): Promise<AsyncDisposable & { url: string }> {
  const server = createServer(async (request, response) => {
    try {
      const [type, body] = await answer(sources, request);
      response.writeHead(200, { 'content-type': type }).end(body);
    } catch (error) {
      response.writeHead(404, { 'content-type': 'text/plain' }).end(String(error));
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as { port: number }).port}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

async function answer({ bundle, dashboards, scene, prometheus }: Sources, request: IncomingMessage): Promise<Answer> {
  const { pathname } = new URL(request.url!, 'http://page');
  if (pathname.startsWith('/api/v1/')) {
    const headers = { 'content-type': request.headers['content-type'] ?? '' };
    const body = await text(request);
    const answered = await fetch(prometheus + pathname, { method: 'POST', headers, body });
    return ['application/json', await answered.text()];
  }
  if (pathname.startsWith('/dashboards/')) {
    return ['application/json', await readFile(join(dashboards, basename(pathname)))];
  }
  if (pathname.startsWith(ICONS)) {
    return ['image/svg+xml', await readFile(join(ICON_FILES, normalize(pathname.slice(ICONS.length))))];
  }
  if (pathname in FONTS) {
    return ['font/woff2', await readFile(`node_modules/@fontsource/inter/files/inter-latin-${FONTS[pathname]}.woff2`)];
  }
  const answers: Record<string, () => Answer | Promise<Answer>> = {
    '/': () => ['text/html', PAGE],
    '/page.js': () => ['text/javascript', bundle.script],
    '/page.css': () => ['text/css', bundle.style],
    '/scene.json': async () => ['application/json', await readFile(join(scene, 'scene.json'))],
  };
  const found = answers[pathname];
  if (!found) {
    throw new Error(`nothing at ${pathname}`);
  }
  return found();
}
