// A client that does not read: its pushes are dropped, it is nudged once its socket has drained, and one that does
// not answer is pushed what it lacks.
import test from 'node:test';
import assert from 'node:assert/strict';
import { cell, factsOf, Writer } from './lib/facts.mjs';
import { HttpClient, request } from './lib/http.mjs';
import { site } from './lib/ids.mjs';
import { startServer } from './lib/server.mjs';
import { Session } from './lib/session.mjs';
import { until } from './lib/wait.mjs';

async function metric(server, name) {
  const { text } = await request(server.base, { path: '/metrics' });
  return Number(new RegExp(`^${name.replace(/[{}"]/g, '\\$&')} (\\d+)$`, 'm').exec(text)[1]);
}

// Writes until the session lags, and some more; the keys of what was written.
async function makeLag(server, session, writer, table) {
  const keys = [];
  const client = new HttpClient(server, writer.site ?? site(1));
  const overflows = await metric(server, 'sync_session_overflows_total');
  session.pause();
  const write = async () => {
    await client.apply('db', writer.transaction(cell(table, [keys.length], 'a', 'x'.repeat(200_000))));
    keys.push(`${table},${keys.length}`);
  };
  await until(async () => {
    await write();
    return (await metric(server, 'sync_session_overflows_total')) > overflows;
  }, 'the session to lag', 60_000);
  for (let n = 0; n < 6; n++) await write();
  session.resume();
  return keys;
}

// Takes pushes until every key has come; answers no nudge. Returns how many nudges came.
async function takePushes(session, wanted) {
  const left = new Set(wanted);
  let nudges = 0;
  while (left.size > 0) {
    const message = await session.next(['push_changes', 'handshake_ack', 'changes', 'error'], { ms: 30_000 });
    if (message.type === 'handshake_ack') nudges++;
    else {
      assert.equal(message.type, 'push_changes');
      for (const { table, pk } of factsOf(message.changeSets)) left.delete(`${table},${pk[0]}`);
      assert.ok(message.changeSets.every((set) => set.changes.length > 0), 'a push carries no watermark set');
    }
  }
  return nudges;
}

test('a client that does not answer the nudge is pushed what it lacks, and is not nudged again', async (t) => {
  const server = await startServer(t, {
    settings: { 'limits.sessionQueueBytes': 400_000, 'limits.deltaBytes': 150_000, 'sync.catchUpTimeoutMs': 300 },
  });
  const writer = new Writer(site(1));
  const session = await Session.open(server, { db: 'db', site: site(2) });
  await session.changes();
  const first = await makeLag(server, session, writer, 'one');
  assert.equal(await takePushes(session, first), 1, 'one nudge');
  assert.ok((await metric(server, 'sync_catch_ups_total')) >= 2, 'in pages');
  const second = await makeLag(server, session, writer, 'two');
  assert.equal(await takePushes(session, second), 0, 'no further nudge');
  assert.equal(await metric(server, 'sync_nudges_total{reason="lagging"}'), 1);
  // It asks by itself, and from then on it is nudged again.
  await session.changes();
  await until(async () => (await metric(server, 'sync_sessions_lagging')) === 0, 'nobody to lag');
  const ack = session.next('handshake_ack', { ms: 60_000 });
  await makeLag(server, session, writer, 'three');
  await ack;
  await session.close();
});

test('a client that answers the nudge gets what it lacks as changes, and nothing twice', async (t) => {
  const server = await startServer(t, { settings: { 'limits.sessionQueueBytes': 400_000, 'sync.catchUpTimeoutMs': 600_000 } });
  const writer = new Writer(site(1));
  const session = await Session.open(server, { db: 'db', site: site(2) });
  await session.changes();
  const wanted = new Set(await makeLag(server, session, writer, 'one'));
  await session.next('handshake_ack', { ms: 30_000 });
  for (const { table, pk } of factsOf((await session.changes()).changeSets)) wanted.delete(`${table},${pk[0]}`);
  assert.deepEqual([...wanted], []);
  assert.equal(await metric(server, 'sync_catch_ups_total'), 0);
  await session.close();
});
