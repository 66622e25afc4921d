// hooks.mjs -- where the hooks of the build lie, and how a test names one in the configuration.
import { execFileSync } from 'node:child_process';
import { closeSync, constants, openSync } from 'node:fs';
import path from 'node:path';
import { BINARY, temporaryDirectory } from './server.mjs';
import { request } from './http.mjs';

const BUILD = path.dirname(BINARY);

// A hook of tests/hooks (scripted, serial, reloads, ...) that does what `script` says.
export function scripted(script = '', { kind = 'scripted', ...more } = {}) {
  return { path: path.join(BUILD, 'test-hooks', `hook_${kind}.so`), config: script, ...more };
}

// A hook that ships: jwt, token-file, webhook, audit-log.
export function shipped(name, config, more = {}) {
  return { path: path.join(BUILD, 'hooks', `${name}.so`), config, ...more };
}

// A named pipe: whoever opens it to read waits until somebody opens it to write.
export function fifo() {
  const file = path.join(temporaryDirectory(), 'fifo');
  execFileSync('mkfifo', [file]);
  return file;
}

// Lets whoever reads a named pipe go on. False: nobody does, right now.
export function letGo(pipe) {
  try {
    closeSync(openSync(pipe, constants.O_WRONLY | constants.O_NONBLOCK));
    return true;
  } catch (error) {
    if (error.code !== 'ENXIO') throw error;
    return false;
  }
}

// The value of a series of /metrics, undefined when it is not there.
export async function metric(server, series) {
  const { text } = await request(server.base, { path: '/metrics' });
  const line = text.split('\n').find((each) => each.startsWith(`${series} `));
  return line === undefined ? undefined : Number(line.slice(series.length + 1));
}
