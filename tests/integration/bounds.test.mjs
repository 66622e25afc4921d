// What one client, one address, one site or one database may take of the server, and that the others go on.
import test from 'node:test';
import assert from 'node:assert/strict';
import http from 'node:http';
import net from 'node:net';
import { writeFileSync } from 'node:fs';
import { assertRefused } from './lib/errors.mjs';
import { cell, transactionAt, Writer } from './lib/facts.mjs';
import { HttpClient, request } from './lib/http.mjs';
import { site } from './lib/ids.mjs';
import { nest, startServer } from './lib/server.mjs';
import { Session } from './lib/session.mjs';
import { until, within } from './lib/wait.mjs';

async function hits(server, limit, agent) {
  const { text } = await request(server.base, { path: '/metrics', agent });
  return Number(new RegExp(`^sync_limit_hits_total\\{limit="${limit}"\\} (\\d+)$`, 'm').exec(text)[1]);
}

const logged = (server, limit) => server.log.some((line) => line.includes(`limit.hit limit=${limit} `));

// Opens sessions until one is refused, which must happen within `most`.
async function openUntilRefused(server, most, options = {}) {
  const sessions = [];
  for (;;) {
    try {
      sessions.push(await Session.open(server, { db: 'db', site: site(sessions.length), ...options }));
    } catch (refused) {
      return { sessions, refused };
    }
    assert.ok(sessions.length <= most, `${sessions.length} sessions`);
  }
}

function assertRetryLater(refused) {
  assert.equal(refused.response?.statusCode, 503, refused.message);
  assert.match(refused.response.headers['retry-after'], /^[1-9]\d*$/);
}

// A socket that says `text`; .answer is what came once it was closed.
async function speak(t, server, text, options = {}) {
  const socket = net.connect({ port: server.port, host: '127.0.0.1', ...options });
  t.after(() => socket.destroy());
  let bytes = '';
  const answer = new Promise((resolve) => socket.on('close', () => resolve(bytes)));
  socket.setEncoding('latin1').on('data', (data) => (bytes += data));
  socket.on('error', () => {});
  await new Promise((resolve) => socket.on('connect', resolve));
  socket.write(text);
  return { socket, answer };
}

test('one address has so many connections, and others still come in', async (t) => {
  const server = await startServer(t, { settings: { 'limits.addressConnections': 4 } });
  const { sessions, refused } = await openUntilRefused(server, 4);
  assert.equal(sessions.length, 4);
  assertRetryLater(refused);
  // Another address of the loopback network.
  const other = new http.Agent({ localAddress: '127.0.0.7' });
  t.after(() => other.destroy());
  assert.equal((await request(server.base, { path: '/status', agent: other })).status, 200);
  assert.ok((await hits(server, 'address_connections', other)) >= 1);
  assert.ok(logged(server, 'address_connections'));
  await sessions.pop().close();
  const back = await until(() => Session.open(server, { db: 'db', site: site(1) }).catch(() => undefined), 'room again');
  await Promise.all([...sessions, back].map((session) => session.barrier()));
  // A reload lowers it for those who come, and ends nobody.
  writeFileSync(server.configFile, JSON.stringify(nest({ 'limits.addressConnections': 1 })));
  server.signal('SIGHUP');
  await until(() => server.logText().includes('config.reloaded'), 'the reload');
  await back.close();
  assertRetryLater((await openUntilRefused(server, 0)).refused);
  await Promise.all(sessions.map((session) => session.barrier()));
});

test('upgrades have a rate; beyond it 503 with Retry-After, and HTTP goes on', async (t) => {
  const server = await startServer(t, { settings: { 'limits.upgradesPerS': 1 } });
  const { sessions, refused } = await openUntilRefused(server, 50);
  assertRetryLater(refused);
  assert.ok(sessions.length >= 1);
  assert.equal((await request(server.base, { path: '/status' })).status, 200);
  assert.ok((await hits(server, 'upgrades_per_s')) >= 1);
  assert.ok(logged(server, 'upgrades_per_s'));
  const later = await until(() => Session.open(server, { db: 'db', site: site(1) }).catch(() => undefined), 'to be let in later');
  await Promise.all([...sessions, later].map((session) => session.close()));
});

for (const [name, alone] of [['site', true], ['database', false]]) {
  const limit = `${name}_changes_per_s`;

  test(`a ${name} that writes over its rate gets 429 over HTTP before its body is read`, async (t) => {
    const server = await startServer(t, { settings: { [`limits.${name}ChangesPerS`]: 10 } });
    const writer = new Writer(site(1));
    const batch = () => writer.transaction(...Array.from({ length: 100 }, (_, k) => cell('t', [k], 'a', k)));
    const client = new HttpClient(server, site(1));
    await client.apply('db', batch()); // as large as it may be
    const answer = await client.post('db', [batch()]);
    assertRefused(answer, 429, 'TOO_MANY_REQUESTS');
    assert.match(answer.headers['retry-after'], /^\d+$/);
    assert.ok(Number(answer.headers['retry-after']) <= 10);
    const { answer: early } = await speak(t, server, 'POST /sync/db/changes HTTP/1.1\r\nhost: x\r\nconnection: close\r\n'
      + `x-site-id: ${site(1)}\r\ncontent-type: application/json\r\ncontent-length: 1000000\r\nexpect: 100-continue\r\n\r\n`);
    assert.match(await within(early, 'the early answer'), /^HTTP\/1\.1 429 /);
    const others = new HttpClient(server, site(2));
    const set = new Writer(site(2)).transaction(cell('t', [1], 'b', 1));
    assert.equal((await others.post('db', [set])).status, alone ? 200 : 429);
    assert.equal((await others.post('other', [set])).status, 200, 'another database is free');
    assert.equal((await client.get('/db/changes')).status, 200, 'reading is');
    assert.ok((await hits(server, limit)) >= 1);
    assert.ok(logged(server, limit));
  });

  test(`a ${name} that writes over its rate waits for its answers over WebSocket, and loses none`, async (t) => {
    const server = await startServer(t, { settings: { [`limits.${name}ChangesPerS`]: 100, 'server.pingIntervalMs': 1000, 'server.pongTimeoutMs': 1000 } });
    const session = await Session.open(server, { db: 'db', site: site(1) });
    const free = await Session.open(server, { db: 'other', site: site(2) });
    const writer = new Writer(site(1));
    const order = [];
    const batches = Array.from({ length: 4 }, (_, n) => writer.transaction(...Array.from({ length: 150 }, (__, k) => cell('t', [n, k], 'a', k))));
    for (const [n, batch] of batches.entries()) session.send({ type: 'apply_changes', requestId: `r${n}`, changes: [batch] });
    session.send({ type: 'ping' });
    const from = Date.now();
    while (order.length < 5) {
      const message = await session.next();
      order.push(message.requestId ?? message.type);
      if (message.type === 'apply_result') assert.equal(message.applied, 150);
      // Others are not held up meanwhile.
      await free.apply([new Writer(site(2)).transaction(cell('t', [order.length], 'a', 1))]);
    }
    assert.deepEqual(order.slice(0, 3), ['r0', 'r1', 'r2']);
    assert.deepEqual(order.slice(3).sort(), ['pong', 'r3'], 'input waits as a whole');
    // 600 changes at 100 a second, one second of them at once, the last batch not waited for.
    assert.ok(Date.now() - from >= 3000, `${Date.now() - from} ms`);
    assert.ok((await hits(server, limit)) >= 1);
    await Promise.all([session, free].map((s) => s.close()));
  });
}

test('with too much under way new requests wait or get 503, and go on when there is room', async (t) => {
  const server = await startServer(t, { settings: { 'limits.requestsInFlightAll': 1 } });
  const writer = new Writer(site(1));
  const client = new HttpClient(server, site(1));
  for (let n = 0; n < 20; n++) await client.apply('db', writer.transaction(cell('t', [n], 'a', 'x'.repeat(400_000))));
  const stalled = await Session.open(server, { db: 'db', site: site(2) });
  const waiting = await Session.open(server, { db: 'db', site: site(3) });
  stalled.pause();
  stalled.send({ type: 'get_snapshot' });
  const refused = await until(async () => {
    const answer = await client.get('/db/changes');
    return answer.status === 503 ? answer : undefined;
  }, 'the snapshot to be under way');
  assertRefused(refused, 503, 'UNAVAILABLE');
  assert.match(refused.headers['retry-after'], /^\d+$/);
  assertRefused(await client.post('db', [writer.transaction(cell('t', [99], 'a', 1))]), 503, 'UNAVAILABLE');
  const changes = waiting.changes();
  waiting.send({ type: 'ping' });
  assert.equal((await request(server.base, { path: '/healthz' })).status, 200);
  await until(() => logged(server, 'requests_in_flight_all'), 'the log');
  assert.deepEqual(waiting.types, [], 'it waits');
  stalled.resume();
  await stalled.next('snapshot_complete');
  assert.equal((await changes).type, 'changes');
  await waiting.next('pong');
  await client.apply('db', writer.transaction(cell('t', [99], 'a', 1)));
  await Promise.all([stalled, waiting].map((session) => session.close()));
});

test('a body that is fed drop by drop is answered 408 and cut, a slow but steady one is not', async (t) => {
  const settings = { 'limits.httpTimeoutMs': 1000, 'limits.bodyBytesPerS': 200 };
  const server = await startServer(t, { settings });
  const head = (length) => 'POST /sync/db/changes HTTP/1.1\r\nhost: x\r\n'
    + `x-site-id: ${site(1)}\r\ncontent-type: application/json\r\ncontent-length: ${length}\r\n\r\n`;
  const drip = await speak(t, server, head(10_000));
  const drops = setInterval(() => drip.socket.write(' '), 100);
  t.after(() => clearInterval(drops));
  const body = JSON.stringify({ changes: [new Writer(site(1)).transaction(cell('t', [1], 'a', 'x'.repeat(1200)))] });
  const steady = await speak(t, server, head(body.length).replace('host', 'connection: close\r\nhost'));
  let at = 0;
  const pieces = setInterval(() => {
    steady.socket.write(body.slice(at, (at += 100)));
    if (at >= body.length) clearInterval(pieces);
  }, 150);
  t.after(() => clearInterval(pieces));
  assert.match(await within(steady.answer, 'the steady one'), /^HTTP\/1\.1 200 /);
  assert.match(await within(drip.answer, 'the drip to be cut'), /^HTTP\/1\.1 408 /);
  assert.equal(await hits(server, 'body_bytes_per_s'), 1);
  assert.ok(logged(server, 'body_bytes_per_s'));
});

test('a head that is fed drop by drop is cut, whatever comes of it', async (t) => {
  const server = await startServer(t, { settings: { 'limits.headTimeoutMs': 1000 } });
  const drip = await speak(t, server, 'GET /sync/status HTTP/1.1\r\nx: ');
  const drops = setInterval(() => drip.socket.write('x'), 100);
  t.after(() => clearInterval(drops));
  await within(drip.answer, 'the drip to be cut');
  await until(() => hits(server, 'head_timeout'), 'it to be counted');
});

test('an HTTP connection that waits for nothing is closed', async (t) => {
  const server = await startServer(t, { settings: { 'limits.idleTimeoutMs': 1000 } });
  const idle = await speak(t, server, 'GET /sync/healthz HTTP/1.1\r\nhost: x\r\n\r\n');
  assert.match(await within(idle.answer, 'the idle connection to be closed'), /^HTTP\/1\.1 200 /);
  await until(() => hits(server, 'idle_timeout'), 'it to be counted');
});

test('JSON nested deeper than limits.jsonDepth is refused and counted, from both sides', async (t) => {
  const server = await startServer(t, { settings: { 'limits.jsonDepth': 20 } });
  const deep = JSON.parse(`${'['.repeat(30)}${']'.repeat(30)}`);
  const sets = [transactionAt(site(1), 1_700_000_000_000, 0, [cell('t', [1], 'a', deep)])];
  const answer = await new HttpClient(server, site(1)).post('db1', sets);
  assert.equal(answer.status, 400);
  assert.match(answer.text, /nested too deeply/);
  assert.equal(await hits(server, 'json_depth'), 1);
  const session = await Session.open(server, { db: 'db1', site: site(2) });
  session.socket.send(JSON.stringify({ type: 'apply_changes', changes: sets }));
  assert.equal((await session.next()).type, 'error');
  await until(async () => await hits(server, 'json_depth') === 2, 'it to be counted');
  await session.close();
});
