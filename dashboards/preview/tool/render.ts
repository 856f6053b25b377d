// Draws every dashboard into docs/dashboards, from what the scene has left: `npm run pictures [-- uid …]`.

import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';

import { type Browser, chromium } from 'playwright-core';
import sharp from 'sharp';

import { type Scene, upTo } from '../src/scene';
import { bundle } from './bundle';
import { startPrometheus } from './prometheus';
import { serve } from './server';

const DASHBOARDS = resolve(process.env.DASHBOARDS ?? '../generated');
const SCENE = resolve(process.env.SCENE ?? 'data');
const PICTURES = resolve(process.env.PICTURES ?? '../../docs/dashboards');
/** Without those about the network, the browser looks for its makers at every start. */
const FLAGS = [
  ...['--no-sandbox', '--disable-gpu', '--no-first-run', '--force-color-profile=srgb', '--font-render-hinting=none'],
  ...['--disable-quic', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
];
const WIDTH = 1600;
const PATIENCE_MS = 120_000;
const SETTLED_MS = 500;
/** Pixels of a picture; what is below, as most of the runbooks, is left out. */
const TALLEST = 4000;
const LARGEST_BYTES = 400_000;

interface Picture {
  uid: string;
  name: string;
  /** The event of the scene at which it is taken; its end otherwise. */
  until?: string;
  /** So many rows from the top; all of them otherwise. */
  rows?: number;
}

/** The middle of the incident, for the README. */
const TOP: Picture = { uid: 'rlb-overview', name: 'overview-top', until: 'returns', rows: 2 };

async function main(): Promise<void> {
  const wanted = process.argv.slice(2);
  const files = (await readdir(DASHBOARDS)).filter((name) => name.endsWith('.json')).sort();
  const uids = wanted.length ? wanted : files.map((name) => basename(name, '.json'));
  const pictures: Picture[] = uids.map((uid) => ({ uid, name: uid }));
  pictures.push(...(uids.includes(TOP.uid) ? [TOP] : []));
  await mkdir(PICTURES, { recursive: true });
  const scene: Scene = JSON.parse(await readFile(join(SCENE, 'scene.json'), 'utf8'));
  await using prometheus = await startPrometheus(SCENE);
  const sources = { bundle: await bundle(), dashboards: DASHBOARDS, scene: SCENE, prometheus: prometheus.url };
  await using server = await serve(sources);
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: FLAGS,
  });
  try {
    for (const picture of pictures) {
      await draw(browser, server.url, picture, scene);
    }
  } finally {
    await browser.close();
  }
}

async function draw(browser: Browser, url: string, { uid, name, until, rows }: Picture, scene: Scene): Promise<void> {
  const page = await browser.newPage({ viewport: { width: WIDTH, height: 1000 } });
  page.on('pageerror', (error) => console.error(`${uid}: ${error.stack}`));
  page.on('console', (message) => {
    const { url: source } = message.location();
    // The font for code is Grafana's server's; the browser has another.
    if (message.type() === 'error' && !source.includes('/fonts/roboto/')) {
      console.error(`${uid}: ${message.text()} ${source}`);
    }
  });
  // "7 minutes ago" is meant as seen from the end of the scene.
  await page.clock.setFixedTime(upTo(until ?? null, scene).to * 1000);
  await page.goto(`${url}/?uid=${uid}${until ? `&until=${until}` : ''}`);
  await page.waitForSelector('body[data-done]', { timeout: PATIENCE_MS });
  // Tables below the window are not painted, so the window becomes as tall as the page.
  const whole = await page.evaluate(() => document.documentElement.scrollHeight);
  await page.setViewportSize({ width: WIDTH, height: whole });
  await page.waitForTimeout(SETTLED_MS);
  const below = rows ? await page.locator('[data-row]').nth(rows).boundingBox() : null;
  const height = Math.min(Math.floor(below?.y ?? whole), TALLEST);
  const complaints: string[] = JSON.parse((await page.getAttribute('body', 'data-complaints')) ?? '[]');
  const file = join(PICTURES, `${name}.png`);
  await writeFile(file, await small(await page.screenshot({ clip: { x: 0, y: 0, width: WIDTH, height } })));
  await page.close();
  const { size } = await stat(file);
  console.log(`${file}: ${Math.round(size / 1000)} kB${size > LARGEST_BYTES ? ', TOO LARGE' : ''}`);
  complaints.forEach((complaint) => console.log(`  ${complaint}`));
}

/** The picture with as many colours as a screen full of lines and text needs. */
async function small(png: Buffer): Promise<Buffer> {
  return sharp(png).png({ palette: true, colours: 256, quality: 90, effort: 10, dither: 0 }).toBuffer();
}

await main();
