// SIGHUP: the configuration is read again while the server runs. What can be taken over is, at once and as a whole;
// a mistake changes nothing; what needs a restart is said.
import test from 'node:test';
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { assertRefused } from './lib/errors.mjs';
import { cell, transactionAt, Writer } from './lib/facts.mjs';
import { HttpClient, request } from './lib/http.mjs';
import { site } from './lib/ids.mjs';
import { nest, startServer, temporaryDirectory } from './lib/server.mjs';
import { Session } from './lib/session.mjs';
import { until } from './lib/wait.mjs';

const A = site(1);

const count = (server, event) => server.log.filter((line) => line.includes(event)).length;
const last = (server, event) => server.log.filter((line) => line.includes(event)).at(-1);

// Sends SIGHUP and waits for the outcome's line, which is written when every thread has changed over.
async function hangUp(server, outcome = 'config.reloaded') {
  const before = count(server, outcome);
  server.signal('SIGHUP');
  await until(() => count(server, outcome) > before, () => `${outcome}:\n${server.logText()}`);
  return last(server, outcome);
}

function reload(server, settings, outcome) {
  writeFileSync(server.configFile, typeof settings === 'string' ? settings : JSON.stringify(nest(settings)));
  return hangUp(server, outcome);
}

const get = (server, headers) => request(server.base, { path: '/db/changes', headers: { 'x-site-id': A, ...headers } });
const withToken = (server, token) => get(server, { authorization: `Bearer ${token}` });

test('tokens of the file are exchanged at once', async (t) => {
  const tokensFile = path.join(temporaryDirectory(), 'tokens');
  writeFileSync(tokensFile, 'old-one\n');
  const settings = { 'auth.mode': 'token-whitelist', 'auth.tokensFile': tokensFile, 'auth.tokens': ['stays'] };
  const server = await startServer(t, { settings });
  assert.equal((await withToken(server, 'old-one')).status, 200);
  assertRefused(await withToken(server, 'new-one'), 401, 'AUTH_FAILED');
  writeFileSync(tokensFile, 'new-one\nanother\n');
  assert.match(await hangUp(server), /changed=auth\.tokens$/);
  assertRefused(await withToken(server, 'old-one'), 401, 'AUTH_FAILED');
  for (const token of ['new-one', 'another', 'stays']) assert.equal((await withToken(server, token)).status, 200, token);
  const session = await Session.open(server, { db: 'db', site: A, token: 'another' });
  await session.close();
  await reload(server, {});
  assert.equal((await get(server)).status, 200, 'without tokens everyone may come');
});

test('CORS and log settings are taken over', async (t) => {
  const server = await startServer(t);
  const origin = 'https://app.example';
  const allowed = async () => (await get(server, { origin })).headers['access-control-allow-origin'];
  assert.equal(await allowed(), origin);
  assert.equal(count(server, 'http.request'), 0);
  const line = await reload(server, { 'cors.origin': ['https://other.example'], 'logging.namespaces': 'sync-coordinator:http' });
  assert.match(line, /changed="?cors\.origin, logging\.namespaces"?$/);
  assert.equal(await allowed(), undefined);
  await until(() => count(server, 'http.request') > 0, 'a debug line');
  assert.equal(JSON.parse(await reload(server, { 'logging.format': 'json' })).event, 'config.reloaded');
  assert.equal(await allowed(), origin);
});

test('limits are taken over, by sessions that are connected too', async (t) => {
  const server = await startServer(t);
  const session = await Session.open(server, { db: 'db', site: A });
  const wide = (n, bytes) => transactionAt(A, 1_700_000_000_000 + n, 0, [cell('t', [n], 'a', 'x'.repeat(bytes))]);
  await session.apply([wide(1, 10_000)]);
  await reload(server, { 'limits.messageBytes': 70_000, 'limits.bodyBytes': 5000, 'limits.jsonDepth': 16 });
  await session.apply([wide(2, 10_000)]);
  assertRefused(await new HttpClient(server, A).post('db', [wide(3, 10_000)]), 413, 'PAYLOAD_TOO_LARGE');
  const deep = transactionAt(A, 1_700_000_000_010, 0, [cell('t', [4], 'a', JSON.parse('['.repeat(20) + ']'.repeat(20)))]);
  assert.notEqual((await new HttpClient(server, A).post('db', [deep])).status, 200);
  session.send({ type: 'apply_changes', requestId: 'r', changes: [wide(5, 100_000)] });
  assert.equal((await session.closed).code, 1009);
  await reload(server, {});
  await new HttpClient(server, A).apply('db', wide(3, 10_000), deep);
});

const MISTAKES = [
  ['{"auth": {"tokens": ["x"}', /config\.json.*line 1\b/],
  ['{"prot": 1}', /config\.json.*prot/],
  ['{"limits": {"bodyBytes": "many"}}', /config\.json.*limits\.bodyBytes.*many/],
  ['{"auth": {"mode": "token-whitelist"}}', /auth\.mode/],
  ['{"auth": {"tokensFile": "/nowhere/tokens"}}', /auth\.tokensFile.*\/nowhere\/tokens/],
  ['{"limits": {"receivingBytes": 1024}}', /limits\.bodyBytes.*limits\.receivingBytes/],
];

test('a mistake in the file leaves everything as it was, and is named', async (t) => {
  const server = await startServer(t, { settings: { 'auth.tokens': ['secret'] } });
  for (const [text, named] of MISTAKES) {
    const line = await reload(server, text, 'config.reload_failed');
    assert.match(line, /^\S+ error /);
    assert.match(line, named);
    assert.doesNotMatch(line, /secret/);
    assert.equal((await withToken(server, 'secret')).status, 200, text);
    assertRefused(await get(server), 401, 'AUTH_FAILED');
  }
  assert.equal(count(server, 'config.reloaded'), 0);
  await reload(server, {});
  assert.equal((await get(server)).status, 200, 'and the next good file is taken');
});

test('what needs a restart keeps its value and is named', async (t) => {
  const server = await startServer(t, { settings: { 'storage.shards': 3 } });
  await reload(server, { basePath: '/elsewhere', 'storage.shards': 4, 'storage.durability': 'os', 'cors.origin': false });
  const line = last(server, 'config.restart_needed');
  assert.match(line, /options="?basePath, storage\.shards, storage\.durability"? /);
  const answer = await request(server.base, { path: '/status', headers: { origin: 'https://x.example' } });
  assert.equal(answer.status, 200, 'the base path is the old one');
  assert.equal(answer.json.data.durability, 'fsync');
  assert.equal(answer.headers['access-control-allow-origin'], undefined, 'what can be taken over was');
  await reload(server, { 'storage.shards': 3 });
  assert.equal(count(server, 'config.restart_needed'), 1);
});

test('flags still win over the file', async (t) => {
  const server = await startServer(t, { args: ['--auth-tokens', 'by-flag'] });
  await reload(server, { 'auth.tokens': ['by-file'] });
  assert.equal((await withToken(server, 'by-flag')).status, 200);
  assertRefused(await withToken(server, 'by-file'), 401, 'AUTH_FAILED');
});

test('reloading under load loses nothing and breaks no connection', async (t) => {
  const server = await startServer(t);
  const receiver = await Session.open(server, { db: 'busy', site: site(9) });
  const writers = [2, 3, 4, 5].map((n) => ({ n, writer: new Writer(site(n)) }));
  const sessions = await Promise.all(writers.map(({ n }) => Session.open(server, { db: 'busy', site: site(n) })));
  let done = false;
  const sent = [];
  const writing = writers.map(async ({ n, writer }, index) => {
    for (let i = 0; !done || i < 20; i++) {
      const set = writer.transaction(cell('t', [n, i], 'a', i));
      if (i % 2) await new HttpClient(server, site(n)).apply('busy', set);
      else await sessions[index].apply([set]);
      sent.push(set.transactionId);
    }
  });
  for (let i = 0; i < 30; i++) {
    await reload(server, { 'auth.tokens': i % 2 ? ['x'] : [], 'auth.mode': 'none', 'limits.jsonDepth': 50 + i, 'sync.sweepIntervalMs': 1 + i });
  }
  done = true;
  await Promise.all(writing);
  const kept = new Set((await new HttpClient(server, site(8)).readAll('busy')).sets.map(({ transactionId }) => transactionId));
  for (const id of sent) assert.ok(kept.has(id), id);
  await Promise.all([receiver, ...sessions].map((session) => session.barrier()));
});

test('SIGHUP right before SIGTERM does not hinder the stop', async (t) => {
  const server = await startServer(t);
  for (let i = 0; i < 5; i++) server.signal('SIGHUP');
  server.signal('SIGTERM');
  assert.equal((await server.ended()).code, 0);
});
