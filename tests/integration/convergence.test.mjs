// Several stock clients on one database: whatever is slow, overtaken, failed, dropped or written offline, in the
// end all replicas and the server hold the same facts.
import test, { after } from 'node:test';
import assert from 'node:assert/strict';
import { assertSameValues } from './lib/compare.mjs';
import { cell, factsOf, remove, row, transactionAt } from './lib/facts.mjs';
import { HttpClient } from './lib/http.mjs';
import { site } from './lib/ids.mjs';
import { freshDatabase } from './lib/names.mjs';
import { Random, runSeed } from './lib/random.mjs';
import { startServer } from './lib/server.mjs';
import { StockClient } from './lib/stock-client.mjs';
import { within } from './lib/wait.mjs';

const SETTLE_ROUNDS = 20;
const server = await startServer({ after }, { settings: { threads: 2, 'sync.migrationPauseMs': 50 } });
const paging = await startServer({ after }, { settings: { 'limits.deltaBytes': 8192, 'sync.pageProofTimeoutMs': 2000 } });
const tight = await startServer({ after }, {
  settings: { 'limits.deltaBytes': 16384, 'limits.sessionQueueBytes': 20_000, 'limits.sessionQueueFrames': 4,
    'sync.pageProofTimeoutMs': 2000 },
});

// What two replicas must agree on: priors say what was replaced in one place, and differ.
const bare = (facts) => facts.map(({ priorHlc, priorValue, priorRow, ...fact }) => fact);

// The clients' and the server's facts are the same.
async function assertConverged(on, db, clients) {
  const { sets } = await new HttpClient(on, site(424242)).readAll(db);
  for (const client of clients) {
    assertSameValues(bare(client.replica.facts()), bare(factsOf(sets)), `the replica of ${client.site} and the server`);
  }
  return factsOf(sets);
}

// Until a client has nothing left to send, apply or ask for. A reconnect makes it ask, as every stock client does
// sooner or later; how many of them are needed is bounded.
async function settle(clients) {
  const idle = (client) => client.settled && !client.hasUnsent();
  for (let round = 0; round < SETTLE_ROUNDS; round++) {
    const marks = JSON.stringify(clients.map(({ watermarks }) => [...watermarks]));
    for (const client of clients) {
      await client.disconnect();
      const answered = client.until('message', ({ type }) => type === 'changes');
      await client.connect();
      await answered;
      if (!client.settled) await client.until('quiet', () => client.settled);
    }
    if (clients.every(idle) && JSON.stringify(clients.map(({ watermarks }) => [...watermarks])) === marks) return;
  }
  throw new Error(`not settled after ${SETTLE_ROUNDS} reconnects each`);
}

function randomDrafts(random, n) {
  const pk = [random.below(40)];
  if (random.chance(12)) return [remove('t', pk)];
  return row(random.pick(['t', 'u']), pk, { a: n, b: 'x'.repeat(random.below(200)) });
}

// Everybody edits while connections break, stores fail, and some apply slowly.
async function storm(t, on, { clients: count, steps, seed }) {
  const random = new Random(seed);
  t.diagnostic(`SYNC_TEST_SEED=${seed}`);
  const db = freshDatabase(`storm-${seed}`);
  const clients = Array.from({ length: count }, (_, n) => new StockClient(on, { db, site: site(1 + n),
    factsPerTurn: random.pick([1, 3, 50, 1000]) }));
  await Promise.all(clients.map((client) => client.connect()));
  for (let step = 0; step < steps; step++) {
    const client = random.pick(clients);
    const dice = random.below(100);
    if (dice < 60) client.edit(randomDrafts(random, step));
    else if (dice < 70) client.drop();
    else if (dice < 76) client.failNext();
    else if (dice < 80) client.hold();
    else if (dice < 86) client.release();
    else if (dice < 90 && client.wanted) await client.disconnect();
    else if (!client.wanted) await client.connect();
    else await new Promise(setImmediate);
  }
  for (const client of clients) {
    client.release();
    client.failures = 0;
  }
  await settle(clients);
  const facts = await assertConverged(on, db, clients);
  assert.ok(facts.length > 10);
  for (const client of clients) assert.deepEqual(client.errors, []);
  await Promise.all(clients.map((client) => client.disconnect()));
}

for (let n = 0; n < 4; n++) {
  const seed = runSeed() + n;
  test(`clients converge in a storm, everything at default (${n})`, (t) => storm(t, server, { clients: 5, steps: 300, seed }));
  test(`clients converge in a storm, with small pages (${n})`, (t) => storm(t, paging, { clients: 4, steps: 300, seed }));
  test(`clients converge in a storm, with small queues (${n})`, (t) => storm(t, tight, { clients: 4, steps: 200, seed }));
}

test('a bulk write of many facts arrives whole, a batch at a time, on one connection', async () => {
  const db = freshDatabase('bulk');
  const client = new StockClient(server, { db, site: site(1) });
  const reader = new StockClient(server, { db, site: site(2) });
  await reader.connect();
  for (let n = 0; n < 4321; n++) client.edit(cell('t', [n], 'a', n)); // offline: one transaction each
  const batches = [];
  const connections = new Set();
  client.on('acknowledged', (id) => batches.push(id));
  client.on('ack', ({ connectionId }) => connections.add(connectionId));
  const arrived = client.until('acknowledged', () => !client.hasUnsent(), 'the whole bulk to be acknowledged');
  await client.connect();
  await arrived;
  assert.equal(batches.length, 5);
  assert.equal(connections.size, 1);
  const { sets } = await new HttpClient(server, site(99)).readAll(db);
  assert.equal(factsOf(sets).length, 4321);
  await settle([client, reader]);
  await assertConverged(server, db, [client, reader]);
  await Promise.all([client.disconnect(), reader.disconnect()]);
});

test('one transaction larger than a batch goes whole', async () => {
  const db = freshDatabase('large-transaction');
  const client = new StockClient(server, { db, site: site(1) });
  await client.connect();
  const whole = client.until('acknowledged', () => !client.hasUnsent());
  client.edit(Array.from({ length: 5000 }, (_, n) => cell('t', [n], 'a', n)));
  await whole;
  const { sets } = await new HttpClient(server, site(99)).readAll(db);
  assert.equal(sets.length, 1);
  assert.equal(sets[0].changes.length, 5000);
  await client.disconnect();
});

test('what was written offline long ago reaches clients that are ahead', async () => {
  const db = freshDatabase('offline');
  const online = new StockClient(server, { db, site: site(1) });
  const offline = new StockClient(server, { db, site: site(2), now: () => Date.now() - 86_400_000 });
  await online.connect();
  const acknowledged = online.until('acknowledged');
  online.edit(cell('t', [1], 'a', 'today'));
  await acknowledged;
  offline.edit(cell('t', [2], 'a', 'yesterday, offline'));
  await settle([online]);
  await online.disconnect(); // so that no push brings it
  await offline.connect();
  if (offline.hasUnsent()) await offline.until('acknowledged');
  await settle([online, offline]);
  const facts = await assertConverged(server, db, [online]);
  assert.equal(facts.length, 2);
  await Promise.all([online, offline].map((client) => client.disconnect()));
});

test('a small message that overtakes a large one loses nothing', async () => {
  const db = freshDatabase('overtake');
  await new HttpClient(server, site(9)).apply(db, Array.from({ length: 300 }, (_, n) =>
    transactionAt(site(9), 1_700_000_000_000 + n, 0, [cell('t', [n], 'a', n)])));
  const client = new StockClient(server, { db, site: site(1), factsPerTurn: 1 });
  client.hold(); // the large delta waits in the client
  const got = client.until('message', ({ type }) => type === 'changes');
  await client.connect();
  await got;
  const pushed = client.until('message', ({ type }) => type === 'push_changes');
  await new HttpClient(server, site(8)).apply(db, transactionAt(site(8), 1_700_000_005_000, 0, [cell('u', [1], 'a', 'small')]));
  await pushed;
  client.release();
  await settle([client]);
  const facts = await assertConverged(server, db, [client]);
  assert.equal(facts.length, 301);
  await client.disconnect();
});

test('a push that fails to be applied is made good by the next delta', async () => {
  const db = freshDatabase('failed-push');
  const client = new StockClient(server, { db, site: site(1) });
  await client.connect();
  client.failNext();
  const failed = client.until('store-failed');
  await new HttpClient(server, site(9)).apply(db, transactionAt(site(9), 1_700_000_000_000, 0, [cell('t', [1], 'a', 1)]));
  await failed;
  assert.equal(client.replica.facts().length, 0);
  await settle([client]);
  await assertConverged(server, db, [client]);
  await client.disconnect();
});

test('clients over a restart of the server converge, with what they wrote meanwhile', async (t) => {
  const own = await startServer(t);
  const db = freshDatabase('restart');
  const clients = [1, 2, 3].map((n) => new StockClient(own, { db, site: site(n) }));
  for (let round = 0; round < 3; round++) {
    await Promise.all(clients.map((client) => client.connect()));
    clients.forEach((client, n) => client.edit(cell('t', [round, n], 'a', 'online')));
    await Promise.all(clients.map((client) => client.disconnect()));
    clients.forEach((client, n) => client.edit(cell('t', [round, n], 'b', 'offline')));
    await (round % 2 ? own.kill() : own.stop());
    await own.start();
  }
  await Promise.all(clients.map((client) => client.connect()));
  await settle(clients);
  const facts = await assertConverged(own, db, clients);
  assert.equal(facts.length, 18);
  await Promise.all(clients.map((client) => client.disconnect()));
});

test('clients of many databases on one server do not meet', async () => {
  const clients = Array.from({ length: 20 }, (_, n) => new StockClient(server, { db: freshDatabase('apart'), site: site(n % 4) }));
  await Promise.all(clients.map((client) => client.connect()));
  clients.forEach((client, n) => client.edit(cell('t', [n], 'a', n)));
  await within(Promise.all(clients.map((client) => client.hasUnsent() && client.until('acknowledged'))), 'all to be acknowledged');
  for (const [n, client] of clients.entries()) {
    const { sets } = await new HttpClient(server, site(99)).readAll(client.db);
    assert.deepEqual(factsOf(sets).map(({ pk }) => pk[0]), [n]);
    await client.disconnect();
  }
});
