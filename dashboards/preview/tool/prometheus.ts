// A Prometheus on the data that the scene has left; it scrapes nothing.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';

const PATIENCE_MS = 60_000;

export async function startPrometheus(scene: string): Promise<AsyncDisposable & { url: string }> {
  const config = join(scene, 'reading.yml');
  await writeFile(config, '{}\n');
  const url = `http://127.0.0.1:${await freePort()}`;
  const process = spawn(
    'prometheus',
    [
      `--config.file=${config}`,
      `--storage.tsdb.path=${join(scene, 'tsdb')}`,
      '--storage.tsdb.retention.time=100y',
      `--web.listen-address=${new URL(url).host}`,
      '--enable-feature=exemplar-storage',
      '--log.level=error',
    ],
    { stdio: ['ignore', 'ignore', 'inherit'] }
  );
  const until = Date.now() + PATIENCE_MS;
  while (!(await isReady(url))) {
    if (process.exitCode !== null || Date.now() > until) {
      process.kill();
      throw new Error('Prometheus does not start');
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  return {
    url,
    async [Symbol.asyncDispose]() {
      process.kill();
      await once(process, 'exit');
    },
  };
}

async function isReady(url: string): Promise<boolean> {
  try {
    return (await fetch(`${url}/-/ready`)).ok;
  } catch {
    return false;
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  return port;
}
