// Start, stop and start again: nothing is lost, nothing changes its name, and who is connected is told.
import test from 'node:test';
import assert from 'node:assert/strict';
import net from 'node:net';
import { assertRefused } from './lib/errors.mjs';
import { assertSameValues } from './lib/compare.mjs';
import { cell, factSets, factsOf, migration, remove, transactionAt, watermarkOf, Writer } from './lib/facts.mjs';
import { HttpClient, request } from './lib/http.mjs';
import { compareHlc, site } from './lib/ids.mjs';
import { Server, startServer } from './lib/server.mjs';
import { Session } from './lib/session.mjs';
import { within } from './lib/wait.mjs';

const A = site(1);
const WALL = 1_700_000_000_000;
const at = (n, ...drafts) => transactionAt(A, WALL + n, 0, drafts);

for (const signal of ['SIGTERM', 'SIGINT']) {
  test(`${signal} closes every session with 1001 and ends with exit code 0`, async (t) => {
    const server = await startServer(t);
    const sessions = await Promise.all(Array.from({ length: 20 }, (_, n) => Session.open(server, { db: `db${n % 3}`, site: site(n) })));
    const unshaken = await Session.open(server);
    server.signal(signal);
    for (const session of [...sessions, unshaken]) {
      assert.equal((await within(session.closed, 'the session to close')).code, 1001);
      assert.ok(session.history.every(({ message }) => message.type !== 'error'));
    }
    assert.equal((await server.ended()).code, 0);
  });
}

test('what is in flight at the stop is answered, and what was answered is kept', async (t) => {
  const server = await startServer(t);
  const client = new HttpClient(server, A);
  const sets = Array.from({ length: 40 }, (_, n) => at(n, Array.from({ length: 100 }, (__, k) => cell('t', [n, k], 'a', 'x'.repeat(200)))));
  const posts = sets.map((set) => client.post('db', [set]).catch((error) => ({ status: error.code ?? error.message })));
  await posts[0];
  server.signal('SIGTERM');
  const answers = await Promise.all(posts);
  assert.equal((await server.ended()).code, 0);
  await server.start();
  const kept = new Set((await new HttpClient(server, site(9)).readAll('db')).sets.map(({ transactionId }) => transactionId));
  for (const [n, { status }] of answers.entries()) {
    if (status === 200) assert.ok(kept.has(sets[n].transactionId), `${sets[n].transactionId} was acknowledged`);
    else assert.ok([503, 'ECONNRESET', 'ECONNREFUSED', 'EPIPE', 'socket hang up'].includes(status), `${status}`);
  }
});

test('a long poll that waits at the stop is answered', async (t) => {
  const server = await startServer(t);
  const polls = [1, 2, 3].map((n) => new HttpClient(server, site(n)).get('/db/changes?wait=60'));
  const session = await Session.open(server, { db: 'db', site: A });
  await session.barrier();
  const from = Date.now();
  await request(server.base, { path: '/status' });
  server.signal('SIGTERM');
  for (const answer of await Promise.all(polls)) {
    if (answer.status === 200) assert.deepEqual(answer.json.data.changes, []);
    else assertRefused(answer, 503);
  }
  assert.equal((await server.ended()).code, 0);
  assert.ok(Date.now() - from < 30_000);
});

test('a client that does not read cannot hold up the stop for ever', async (t) => {
  const server = await startServer(t, { settings: { 'server.drainTimeoutMs': 1000 } });
  const client = new HttpClient(server, A);
  for (let n = 0; n < 30; n++) await client.apply('db', at(n, cell('t', [n], 'a', 'x'.repeat(400_000))));
  const slow = await Session.open(server, { db: 'db', site: site(2) });
  slow.pause();
  slow.send({ type: 'get_snapshot' });
  const idle = net.connect(server.port, '127.0.0.1');
  idle.on('error', () => {});
  const half = net.connect(server.port, '127.0.0.1', () => half.write('POST /sync/db/changes HTTP/1.1\r\nHost: x\r\nContent-Le'));
  half.on('error', () => {});
  await client.get('/status');
  server.signal('SIGTERM');
  assert.equal((await server.ended()).code, 0);
  for (const socket of [idle, half]) socket.destroy();
  await slow.terminate();
});

test('a second signal does not break the stop', async (t) => {
  const server = await startServer(t);
  const session = await Session.open(server, { db: 'db', site: A });
  server.signal('SIGTERM');
  server.signal('SIGINT');
  server.signal('SIGTERM');
  await session.closed;
  assert.equal((await server.ended()).code, 0);
});

for (const [how, stop] of [['a clean stop', (server) => server.stop()], ['kill -9', (server) => server.kill()]]) {
  test(`after ${how} everything is still there, and watermarks keep their meaning`, async (t) => {
    const server = await startServer(t);
    const db = 'kept';
    const session = await Session.open(server, { db, site: site(2) });
    const serverSite = session.ack.serverSiteId;
    const client = new HttpClient(server, A);
    await client.apply(db, at(1, migration('create_table', 't'), cell('t', [1], 'a', 'old'), cell('t', [2], 'a', { x: [1] })));
    await client.apply(db, at(2, cell('t', [1], 'a', 'new'), remove('t', [3], { priorRow: [1] })));
    const reader = new HttpClient(server, site(3));
    const before = await reader.readAll(db);
    const chunks = await reader.snapshot(db);
    await stop(server);
    await server.start();
    const again = await reader.readAll(db);
    assert.deepEqual(again, before);
    assert.deepEqual((await reader.delta(db, before.watermark)).changes, []);
    const strip = (list) => list.map(({ snapshotId, ...chunk }) => chunk);
    assert.deepEqual(strip(await reader.snapshot(db)), strip(chunks));
    const back = await Session.open(server, { db, site: site(2) });
    assert.equal(back.ack.serverSiteId, serverSite);
    const late = transactionAt(site(5), WALL - 5000, 0, [cell('t', [9], 'a', 'late')]);
    await new HttpClient(server, site(5)).apply(db, late);
    const { changes } = await reader.delta(db, before.watermark);
    assert.deepEqual(factSets(changes), [late]);
    assert.ok(compareHlc(watermarkOf(changes), before.watermark) > 0, 'stamps go on above those before the stop');
    await back.close();
  });
}

test('many restarts in a row lose nothing', async (t) => {
  const server = await startServer(t);
  const writer = new Writer(A);
  const sets = [];
  for (let n = 0; n < 8; n++) {
    const set = writer.transaction(cell('t', [n], 'a', n));
    await new HttpClient(server, A).apply('db', set);
    sets.push(set);
    await (n % 2 ? server.kill() : server.stop());
    await server.start();
  }
  assert.deepEqual((await new HttpClient(server, site(2)).readAll('db')).sets, sets);
});

test('databases keep apart over a restart', async (t) => {
  const server = await startServer(t, { settings: { 'storage.shards': 3 } });
  const names = Array.from({ length: 40 }, (_, n) => `db:${n}`);
  for (const [n, name] of names.entries()) await new HttpClient(server, A).apply(name, at(n, cell('t', [n], 'a', n)));
  await server.restart();
  for (const [n, name] of names.entries()) {
    const { sets } = await new HttpClient(server, site(2)).readAll(name);
    assert.deepEqual(factsOf(sets).map(({ pk }) => pk[0]), [n]);
  }
});

test('a second server on the same data directory refuses to start and harms nothing', async (t) => {
  const server = await startServer(t);
  const set = at(1, cell('t', [1], 'a', 1));
  await new HttpClient(server, A).apply('db', set);
  const second = new Server({ dataDir: server.dataDir });
  t.after(() => second.dispose().catch(() => {}));
  await assert.rejects(second.start(), /ended while starting: exit code 1\b/);
  assert.match(second.logText(), /lock|use/i);
  assert.deepEqual((await new HttpClient(server, site(2)).readAll('db')).sets, [set]);
});

test('durability os is served like fsync, and says so', async (t) => {
  const server = await startServer(t, { settings: { 'storage.durability': 'os' } });
  const set = at(1, cell('t', [1], 'a', 1));
  await new HttpClient(server, A).apply('db', set);
  assert.equal((await request(server.base, { path: '/status' })).json.data.durability, 'os');
  await server.kill();
  await server.start();
  assertSameValues((await new HttpClient(server, site(2)).readAll('db')).sets, [set]);
});

test('connections over the limit are answered 503 with Retry-After at the upgrade', async (t) => {
  const server = await startServer(t, { settings: { 'limits.connections': 5 } });
  const sessions = [];
  let refused;
  for (let n = 0; n < 12 && !refused; n++) {
    await Session.open(server, { db: 'db', site: site(n) }).then((session) => sessions.push(session), (error) => (refused = error));
  }
  assert.ok(sessions.length <= 5, `${sessions.length} sessions`);
  assert.equal(refused.response?.statusCode, 503, refused.message);
  assert.match(refused.response.headers['retry-after'], /^\d+$/);
  await sessions.pop().close();
  await Promise.all(sessions.map((session) => session.barrier()));
  await Promise.all(sessions.map((session) => session.close()));
});

test('another base path moves every route', async (t) => {
  const server = await startServer(t, { args: ['--base-path', '/api/v2/sync'] });
  assert.equal((await request(server.base, { path: '/status' })).status, 404);
  server.basePath = '/api/v2/sync';
  assert.equal((await request(server.base, { path: '/status' })).status, 200);
  const session = await Session.open(server, { db: 'db', site: A });
  await session.close();
});
