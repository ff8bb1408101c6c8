// lambda-local with the test app, and a page of headless Chromium.
import { spawn } from 'node:child_process';
import { createRequire } from 'node:module';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));
const { chromium } = createRequire(`${root}build/page/`)('playwright-core');
const executablePath = process.env.CHROMIUM || ['/usr/bin/chromium', '/usr/bin/google-chrome'].find(existsSync);

/** Starts lambda-local and waits until it listens. */
export async function start(...options) {
  const command = ['--port', '0', ...options, '--', 'node', 'tests/page/app.cjs'];
  const env = { ...process.env };
  for (const name of ['PORT', 'AWS_LWA_PORT', 'HOST', 'AWS_LWA_HOST']) delete env[name];
  const child = spawn(process.env.LAMBDA_LOCAL || `${root}target/debug/lambda-local`, command, { env, cwd: root });
  let output = '';
  const exited = new Promise(resolve => child.once('exit', resolve));
  const listening = new Promise(resolve => {
    const collect = data => {
      output += data;
      const match = /listening on (http:\/\/[\w.:]+)/.exec(output);
      if (match) resolve(match[1]);
    };
    child.stdout.on('data', collect);
    child.stderr.on('data', collect);
  });
  const url = await Promise.race([listening, exited.then(() => { throw new Error(`lambda-local exited:\n${output}`); })]);
  return {
    url,
    page: `${url}/__lambda/`,
    output: () => output,
    stop: () => { child.kill('SIGTERM'); return exited; },
  };
}

export function launch() {
  if (!executablePath) throw new Error('there is no Chromium here: install it, or set CHROMIUM=/path/to/chromium');
  return chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking'] });
}
