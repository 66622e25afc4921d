// Configuration as a user meets it: flags, environment and file with their precedence, and refusals that say
// what is wrong, with exit code 1.
import test from 'node:test';
import assert from 'node:assert/strict';
import { chmodSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { request } from './lib/http.mjs';
import { runBinary, startServer, temporaryDirectory } from './lib/server.mjs';

const directory = temporaryDirectory();
let files = 0;

function file(content, name = `file-${(files += 1)}.json`) {
  const at = path.join(directory, name);
  writeFileSync(at, typeof content === 'string' ? content : JSON.stringify(content));
  return at;
}

// `--print-config` as one text: names with their values and origins.
async function printed(args, options) {
  const { code, stdout, stderr } = await runBinary(['--print-config', ...args], options);
  assert.equal(code, 0, stderr);
  return stdout;
}
const lineOf = (text, name) => text.split('\n').find((line) => new RegExp(`(^|\\W)${name.replace('.', '\\.')}(\\W|$)`).test(line)) ?? '';

async function refused(args, words, options) {
  const { code, stderr, stdout } = await runBinary([...args, '--check-config'], options);
  assert.equal(code, 1, stdout + stderr);
  for (const word of words) assert.ok(stderr.includes(word), `${JSON.stringify(stderr)} says ${word}`);
}

test('--help and --version answer on standard output and exit 0', async () => {
  const help = await runBinary(['--help']);
  assert.equal(help.code, 0);
  for (const flag of ['--config', '--host', '--port', '--base-path', '--data-dir', '--cors-origin', '--auth-mode', '--auth-tokens',
    '--debug', '--version', '--durability', '--check-config', '--print-config', '--threads']) {
    assert.ok(help.stdout.includes(flag), flag);
  }
  for (const flag of ['--version', '-V']) {
    const version = await runBinary([flag]);
    assert.equal(version.code, 0);
    assert.match(version.stdout, /\d+\.\d+\.\d+/);
  }
});

test('-h is the host', async () => {
  assert.match(lineOf(await printed(['-h', '127.0.0.7']), 'host'), /127\.0\.0\.7/);
});

test('flags win over the environment, that over the file, that over the defaults', async () => {
  const config = file({ port: 4001, host: '127.0.0.1', basePath: '/from-file' });
  const env = { SYNC_PORT: '4002', SYNC_HOST: '127.0.0.2' };
  const text = await printed(['--config', config, '--port', '4003'], { env });
  assert.match(lineOf(text, 'port'), /4003/);
  assert.match(lineOf(text, 'host'), /127\.0\.0\.2/);
  assert.match(lineOf(text, 'basePath'), /\/from-file/);
  assert.match(lineOf(text, 'dataDir'), /\.data/);
});

test('sync-coordinator.json in the working directory is read without being named', async () => {
  const cwd = temporaryDirectory();
  writeFileSync(path.join(cwd, 'sync-coordinator.json'), '{"port": 4100}');
  assert.match(lineOf(await printed([], { cwd }), 'port'), /4100/);
});

test('every variable of old is read', async () => {
  const env = { SYNC_HOST: '127.0.0.9', SYNC_PORT: '4200', SYNC_BASE_PATH: '/env', SYNC_DATA_DIR: '/tmp/env-data',
    SYNC_CORS_ORIGIN: 'https://env.example', SYNC_CORS_CREDENTIALS: 'false', SYNC_AUTH_MODE: 'token-whitelist',
    SYNC_AUTH_TOKENS: 'secret-of-env', SYNC_RETENTION_HORIZON_MS: '86400001', SYNC_BATCH_SIZE: '777', SYNC_LOG_LEVEL: 'debug' };
  const text = await printed([], { env });
  for (const value of ['127.0.0.9', '4200', '/env', '/tmp/env-data', 'https://env.example', 'token-whitelist', '86400001', '777',
    'debug']) {
    assert.ok(text.includes(value), `${value} in ${text}`);
  }
});

test('printed settings mask tokens', async () => {
  const text = await printed(['--auth-tokens', 'very-secret-token'], { env: {} });
  assert.ok(!text.includes('very-secret-token'));
  assert.match(lineOf(text, 'auth.tokens'), /auth\.tokens/);
});

test('a good configuration passes the check and starts nothing', async () => {
  const { code } = await runBinary(['--check-config', '--config', file({ port: 4300, sync: { nudgeFacts: 5 } })]);
  assert.equal(code, 0);
});

test('refused: an unknown key, with file and key', async () => {
  const config = file({ prot: 3000 });
  await refused(['--config', config], [config, 'prot']);
  const nested = file({ sync: { nudgeFact: 5 } });
  await refused(['--config', nested], [nested, 'nudgeFact']);
});

test('refused: values of the wrong kind, with file, key and value', async () => {
  for (const [content, words] of [
    [{ port: 'eighty' }, ['port', 'eighty']], [{ port: -1 }, ['port', '-1']], [{ port: 70000 }, ['port', '70000']],
    [{ port: 3000.5 }, ['port']], [{ port: null }, ['port']], [{ host: 5 }, ['host']], [{ sync: 5 }, ['sync']],
    [{ sync: { nudgeFacts: 'many' } }, ['nudgeFacts', 'many']], [{ sync: { nudgeFacts: 1e300 } }, ['nudgeFacts']],
    [{ auth: { mode: 'password' } }, ['mode', 'password']], [{ storage: { durability: 'maybe' } }, ['durability', 'maybe']],
    [{ port: [] }, ['port']], [{ cors: { credentials: 'yes' } }, ['credentials']],
  ]) {
    const config = file(content);
    await refused(['--config', config], [config, ...words]);
  }
});

test('refused: bad numbers on the command line and in the environment', async () => {
  await refused(['--port', 'x'], ['port', 'x']);
  await refused(['--port', '99999'], ['port', '99999']);
  await refused(['--port', ''], ['port']);
  await refused([], ['SYNC_PORT', 'abc'], { env: { SYNC_PORT: 'abc' } });
  await refused([], ['SYNC_RETENTION_HORIZON_MS', '-5'], { env: { SYNC_RETENTION_HORIZON_MS: '-5' } });
});

test('refused: a file that is missing, unreadable or no JSON', async (t) => {
  await refused(['--config', path.join(directory, 'missing.json')], ['missing.json']);
  const broken = file('{"port": 3000,');
  await refused(['--config', broken], [broken]);
  await refused(['--config', file('[]')], []);
  await refused(['--config', directory], [directory]);
  const closed = file('{}');
  chmodSync(closed, 0);
  if (process.getuid() !== 0) await refused(['--config', closed], [closed]);
  else t.diagnostic('run as root: every file is readable');
});

test('refused: a flag that is not known, one without its value, and words', async () => {
  await refused(['--prot', '3000'], ['--prot']);
  const { code, stderr } = await runBinary(['--check-config', '--port']);
  assert.equal(code, 1);
  assert.match(stderr, /port/);
  await refused(['something'], ['something']);
});

test('refused: custom authentication without a hook', async () => {
  await refused(['--auth-mode', 'custom'], ['custom']);
});

test('refused: tokens asked for and none given, or a token file that is missing', async () => {
  await refused(['--auth-mode', 'token-whitelist'], ['token']);
  await refused(['--config', file({ auth: { mode: 'token-whitelist', tokensFile: '/nonexistent/tokens' } })], ['/nonexistent/tokens']);
});

test('a server that is refused its configuration does not start', async () => {
  const { code, stderr } = await runBinary(['--port', 'x']);
  assert.equal(code, 1);
  assert.match(stderr, /port/);
});

test('a port that is taken is an error that names it', async (t) => {
  const server = await startServer(t);
  const dataDir = path.join(temporaryDirectory(), 'data');
  const { code, stderr } = await runBinary(['--host', '127.0.0.1', '--port', String(server.port), '--data-dir', dataDir]);
  assert.equal(code, 1);
  assert.ok(stderr.includes(String(server.port)), stderr);
  assert.equal((await request(server.base, { path: '/healthz' })).status, 200);
});

test('a data directory that cannot be made is an error that names it', async () => {
  const inTheWay = file('not a directory', 'in-the-way');
  const { code, stderr } = await runBinary(['--host', '127.0.0.1', '--port', '0', '--data-dir', path.join(inTheWay, 'data')]);
  assert.equal(code, 1);
  assert.ok(stderr.includes(inTheWay), stderr);
});
