// server.mjs -- starts the real binary on a free port with a data directory of its own, and knows how it ended.
//
// Whatever a test does, no server outlives it: stop() wants a clean exit, and what is still running when the
// test process ends is killed.
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { within } from './wait.mjs';

const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../../..');
const LOG_LINES_KEPT = 400;
const START_MS = 20_000;
const STOP_MS = 20_000;

export const BINARY = path.resolve(process.env.SYNC_COORDINATOR ?? path.join(ROOT, 'build/sync-coordinator'));

const running = new Set();
const directories = [];
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
  for (const directory of directories) rmSync(directory, { recursive: true, force: true });
});

// Gone when the test process ends.
export function temporaryDirectory() {
  const directory = mkdtempSync(path.join(os.tmpdir(), 'sync-test-'));
  directories.push(directory);
  return directory;
}

// {'sync.nudgeFacts': 10} becomes {sync: {nudgeFacts: 10}}.
export function nest(settings) {
  const out = {};
  for (const [name, value] of Object.entries(settings)) {
    const keys = name.split('.');
    let at = out;
    for (const key of keys.slice(0, -1)) at = at[key] ??= {};
    at[keys.at(-1)] = value;
  }
  return out;
}

// Only what the test gives reaches the server, not the settings of whoever runs the tests.
function cleanEnvironment(extra) {
  const env = {};
  for (const [name, value] of Object.entries(process.env)) {
    const ours = name.startsWith('SYNC_') || name.startsWith('S3_') || name.startsWith('DISK_') || name === 'DEBUG';
    if (!ours) env[name] = value;
  }
  return { ...env, ...extra };
}

// Runs the binary to its end: for command lines that answer and exit, and for configurations it must refuse.
export async function runBinary(args, { env = {}, cwd = os.tmpdir() } = {}) {
  const child = spawn(BINARY, args, { cwd, env: cleanEnvironment(env), stdio: ['ignore', 'pipe', 'pipe'] });
  running.add(child);
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text) => (stderr += text));
  const ended = new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => resolve({ code, signal }));
  });
  try {
    const { code, signal } = await within(ended, () => `${args.join(' ')} to end:\n${stderr}`);
    return { code, signal, stdout, stderr };
  } finally {
    child.kill('SIGKILL');
    running.delete(child);
  }
}

export class Server {
  // settings: dotted names, written to a JSON configuration file. args: further flags. through: a command that runs
  // the one behind it, in the same process.
  constructor({ settings = {}, args = [], env = {}, dataDir, through = [] } = {}) {
    this.settings = settings;
    this.args = args;
    this.through = through;
    this.env = env;
    this.directory = temporaryDirectory();
    this.dataDir = dataDir ?? path.join(this.directory, 'data');
    this.configFile = path.join(this.directory, 'config.json');
    this.basePath = '/sync';
    this.log = [];
    this.child = undefined;
  }

  async start() {
    if (this.child !== undefined) throw new Error('already running');
    writeFileSync(this.configFile, JSON.stringify(nest(this.settings)));
    const args = ['--config', this.configFile, '--host', '127.0.0.1', '--port', '0', '--data-dir', this.dataDir];
    const [program, ...rest] = [...this.through, BINARY, ...args, ...this.args];
    const child = spawn(program, rest, {
      cwd: this.directory,
      env: cleanEnvironment(this.env),
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    running.add(child);
    this.child = child;
    this.log = [];
    this.exited = new Promise((resolve) => {
      child.on('error', (error) => resolve({ error }));
      child.on('close', (code, signal) => resolve({ code, signal }));
    }).then((end) => {
      running.delete(child);
      if (this.child === child) this.child = undefined;
      return end;
    });
    const listening = new Promise((resolve, reject) => {
      const look = (line) => {
        const match = /server\.listening\b.*\bport=(\d+)/.exec(line);
        if (match) resolve(Number(match[1]));
      };
      readLines(child.stdout, (line) => this.#keep(line));
      readLines(child.stderr, (line) => {
        this.#keep(line);
        look(line);
      });
      this.exited.then((end) => reject(new Error(`${BINARY} ended while starting: ${show(end)}\n${this.logText()}`)));
    });
    this.port = await within(listening, () => `server.listening in the log:\n${this.logText()}`, START_MS);
    return this;
  }

  get #secure() {
    return this.settings['tls.cert'] === undefined ? '' : 's';
  }

  get base() {
    return `http${this.#secure}://127.0.0.1:${this.port}${this.basePath}`;
  }

  get webSocketUrl() {
    return `ws${this.#secure}://127.0.0.1:${this.port}${this.basePath}/ws`;
  }

  get pid() {
    return this.child?.pid;
  }

  signal(name) {
    this.child?.kill(name);
  }

  async ended(what = 'the server to end') {
    return within(this.exited, () => `${what}:\n${this.logText()}`, STOP_MS);
  }

  // A clean stop: SIGTERM, exit code 0. Anything else is a failure of the server.
  async stop() {
    if (this.exited === undefined) return;
    this.signal('SIGTERM');
    const end = await this.ended('the server to stop after SIGTERM');
    if (end.code !== 0) throw new Error(`the server ended with ${show(end)}\n${this.logText()}`);
  }

  async kill() {
    this.signal('SIGKILL');
    await this.ended('the server to die');
  }

  async restart() {
    await this.stop();
    return this.start();
  }

  // stop() and the removal of everything it wrote.
  async dispose() {
    try {
      await this.stop();
    } finally {
      rmSync(this.directory, { recursive: true, force: true });
    }
  }

  logText() {
    return this.log.join('\n');
  }

  #keep(line) {
    this.log.push(line);
    if (this.log.length > LOG_LINES_KEPT) this.log.shift();
  }
}

// For a test or a whole file: `t` is the test's context, or the node:test module with its after().
export async function startServer(t, options) {
  const server = new Server(options);
  t.after(() => server.dispose());
  return server.start();
}

function readLines(stream, each) {
  let rest = '';
  stream.setEncoding('utf8').on('data', (text) => {
    const lines = (rest + text).split('\n');
    rest = lines.pop();
    lines.forEach(each);
  });
  stream.on('end', () => rest !== '' && each(rest));
}

function show(end) {
  if (end.error) return end.error.message;
  return end.signal ? `signal ${end.signal}` : `exit code ${end.code}`;
}
