// Limits that keep the memory and the connections of clients that misbehave bounded.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import net from 'node:net';
import { test } from 'node:test';
import { cell, transactionAt } from './lib/facts.mjs';
import { HttpClient, request } from './lib/http.mjs';
import { startServer } from './lib/server.mjs';
import { Session } from './lib/session.mjs';
import { PATIENCE, until, within } from './lib/wait.mjs';

const SITE = 'A'.repeat(21);
const site = (n) => SITE + 'AQgw'[n];

async function metric(server, name) {
  const text = (await request(server.base, { path: '/metrics' })).text;
  const line = text.split('\n').find((l) => l.startsWith(`${name} `));
  return line === undefined ? undefined : Number(line.slice(name.length + 1));
}

const hits = (server, limit) => metric(server, `sync_limit_hits_total{limit="${limit}"}`);

function residentBytes(server) {
  return Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${server.pid}/status`, 'utf8'))[1]) * 1024;
}

test('a client that sends and never reads is not answered without end', async (t) => {
  const server = await startServer(t);
  const session = await Session.open(server, { db: 'db1', site: site(0) });
  session.socket.setMaxListeners(0);
  session.pause();
  const before = residentBytes(server);
  const ping = JSON.stringify({ type: 'ping' });
  // Until the server takes no more: the kernel's buffers are full and what is sent stays with us.
  let sent = 0;
  await until(async () => {
    for (let i = 0; i < 2000; i++) session.socket.send(ping);
    sent += 2000;
    const other = await request(server.base, { path: '/healthz' });
    assert.equal(other.status, 200);
    return session.socket.bufferedAmount > 1 << 20;
  }, 'the server to stop reading', 60_000);
  // A sanitizer keeps what was freed.
  if (PATIENCE === 1) assert.ok(residentBytes(server) - before < 64 << 20, 'memory stays bounded');
  session.resume();
  await until(() => session.history.length > sent, 'every answer', 60_000); // with the handshake's
});

test('messages that come in part are stopped at limits.receivingBytes, and complete one after the other', async (t) => {
  const MIB = 1 << 20;
  const server = await startServer(t, {
    settings: { 'limits.receivingBytes': 2 * MIB, 'limits.messageBytes': 2 * MIB, 'limits.bodyBytes': MIB },
  });
  const sessions = [];
  for (let i = 0; i < 8; i++) sessions.push(await Session.open(server, { db: `db${i}`, site: site(i % 4) }));
  const text = JSON.stringify({ type: 'ping', filler: 'x'.repeat(1536 * 1024) });
  const half = text.length / 2;
  for (const s of sessions) s.socket.send(text.slice(0, half), { fin: false });
  await until(() => hits(server, 'receiving_bytes'), 'the limit to be hit');
  const small = await Session.open(server, { db: 'small', site: site(0) });
  await small.barrier(); // small messages pass
  for (const s of sessions) s.socket.send(text.slice(half), { fin: true });
  await Promise.all(sessions.map((s) => s.next('pong')));
});

test('bodies that come in part wait as well', async (t) => {
  const MIB = 1 << 20;
  const server = await startServer(t, {
    settings: { 'limits.receivingBytes': MIB, 'limits.messageBytes': MIB, 'limits.bodyBytes': MIB },
  });
  const body = JSON.stringify({ changes: [], filler: 'x'.repeat(900 * 1024) });
  const one = (n) => request(server.base, {
    method: 'POST', path: `/db${n}/changes`, body,
    headers: { 'x-site-id': site(n % 4), 'content-type': 'application/json' },
  });
  const answers = await Promise.all([0, 1, 2, 3, 4, 5, 6, 7].map(one));
  for (const answer of answers) assert.equal(answer.status, 200);
});

test('who holds memory that others wait for, and sends nothing, is cut off', async (t) => {
  const MIB = 1 << 20;
  const server = await startServer(t, {
    settings: {
      'limits.receivingBytes': MIB, 'limits.messageBytes': MIB, 'limits.bodyBytes': MIB, 'limits.httpTimeoutMs': 1000,
    },
  });
  const text = JSON.stringify({ type: 'ping', filler: 'x'.repeat(900 * 1024) });
  const stuck = await Session.open(server, { db: 'db1', site: site(0) });
  const turn = await Session.open(server, { db: 'db1', site: site(1) });
  const waits = await Session.open(server, { db: 'db1', site: site(2) });
  for (const s of [stuck, turn]) s.socket.send(text.slice(0, 800 * 1024), { fin: false });
  await until(async () => (await metric(server, 'sync_receive_bytes_total')) > 1600 * 1024, 'both to arrive');
  waits.socket.send(text);
  await waits.next('pong');
  const ends = Promise.race([stuck.closed, turn.closed]);
  assert.equal((await within(ends, 'one of those that are stuck to end')).code, 1013);
});

test('an answer that is not read is given up after limits.httpTimeoutMs', async (t) => {
  const server = await startServer(t, { settings: { 'limits.httpTimeoutMs': 1000 } });
  const socket = net.connect(server.port, '127.0.0.1');
  t.after(() => socket.destroy());
  socket.on('error', () => {});
  socket.pause();
  // Answers pile up until the kernel takes no more, then the server has one that it cannot send: each is longer
  // than what the kernel takes at once for a client that reads nothing.
  const writer = new HttpClient(server, site(0));
  await writer.apply('db1', transactionAt(site(0), 1_700_000_000_000, 0, [cell('t', [1], 'a', 'x'.repeat(200 << 10))]));
  const ask = `GET /sync/db1/changes HTTP/1.1\r\nhost: x\r\nx-site-id: ${site(1)}\r\n\r\n`;
  socket.write(ask.repeat(200));
  await until(() => hits(server, 'http_timeout'), 'the answer to be given up', 90_000);
});
