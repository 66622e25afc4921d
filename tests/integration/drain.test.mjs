// The stop: sessions are closed spread over a time, and served until their turn comes.
import test from 'node:test';
import assert from 'node:assert/strict';
import http from 'node:http';
import { cell, Writer } from './lib/facts.mjs';
import { HttpClient, request } from './lib/http.mjs';
import { site } from './lib/ids.mjs';
import { startServer } from './lib/server.mjs';
import { Session } from './lib/session.mjs';
import { within } from './lib/wait.mjs';

const SESSIONS = 20;

async function openMany(server, count = SESSIONS) {
  return Promise.all(Array.from({ length: count }, (_, n) => Session.open(server, { db: 'db', site: site(n) })));
}

// Milliseconds after the signal at which each session was closed, in order.
async function closeTimes(server, sessions) {
  const from = Date.now();
  const times = Promise.all(sessions.map(async (session) => {
    const { code } = await within(session.closed, 'a session to close');
    assert.equal(code, 1001);
    return Date.now() - from;
  }));
  server.signal('SIGTERM');
  return (await times).sort((a, b) => a - b);
}

test('sessions are closed spread over server.drainSpreadMs', async (t) => {
  const server = await startServer(t, { settings: { 'server.drainSpreadMs': 3000 } });
  const times = await closeTimes(server, await openMany(server));
  assert.ok(times.at(-1) >= 2000, `the last after ${times.at(-1)} ms`);
  assert.ok(times.filter((ms) => ms < 1000).length < SESSIONS, 'not all in the first third');
  const gaps = times.slice(1).map((ms, n) => ms - times[n]);
  assert.ok(Math.max(...gaps) < times.at(-1), 'not in one heap');
  assert.equal((await server.ended()).code, 0);
});

test('without a spread all are closed at once', async (t) => {
  const server = await startServer(t, { settings: { 'server.drainSpreadMs': 0, 'server.drainTimeoutMs': 60_000 } });
  await closeTimes(server, await openMany(server));
  assert.equal((await server.ended()).code, 0);
});

test('the spread stays within the drain timeout', async (t) => {
  const server = await startServer(t, { settings: { 'server.drainSpreadMs': 3_600_000, 'server.drainTimeoutMs': 2000 } });
  await closeTimes(server, await openMany(server)); // each with 1001, none cut off
  assert.equal((await server.ended()).code, 0);
});

test('a session is served until its turn comes, readyz says 503 at once, and what was acknowledged is kept', async (t) => {
  const server = await startServer(t, { settings: { 'server.drainSpreadMs': 4000, 'server.drainTimeoutMs': 60_000 } });
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  t.after(() => agent.destroy());
  assert.equal((await request(server.base, { path: '/readyz', agent })).status, 200);
  const sessions = await openMany(server);
  const acknowledged = [];
  const working = sessions.map(async (session, n) => {
    const writer = new Writer(site(n));
    for (let i = 0; ; i++) {
      const set = writer.transaction(cell('t', [n, i], 'a', i));
      try {
        await session.apply([set]);
      } catch {
        return i;
      }
      acknowledged.push(set.transactionId);
    }
  });
  server.signal('SIGTERM');
  await within(Promise.race(sessions.map((session) => session.closed)), 'the first session to be closed');
  const before = acknowledged.length;
  // The connection that is open already is still answered.
  assert.equal((await request(server.base, { path: '/readyz', agent })).status, 503);
  await Promise.all(working);
  assert.ok(acknowledged.length > before, 'the others went on');
  assert.equal((await server.ended()).code, 0);
  await server.start();
  const kept = new Set((await new HttpClient(server, site(99)).readAll('db')).sets.map(({ transactionId }) => transactionId));
  for (const id of acknowledged) assert.ok(kept.has(id), id);
});
