// Push (protocol section 5): who gets what is applied, in which order, and what happens to slow readers.
import test, { after } from 'node:test';
import assert from 'node:assert/strict';
import { assertSameValues } from './lib/compare.mjs';
import { cell, factsOf, migration, remove, transactionAt, watermarkOf, Writer } from './lib/facts.mjs';
import { HttpClient } from './lib/http.mjs';
import { site } from './lib/ids.mjs';
import { freshDatabase } from './lib/names.mjs';
import { startServer } from './lib/server.mjs';
import { Session } from './lib/session.mjs';

const PAUSE_MS = 1500;
const server = await startServer({ after }, { settings: { threads: 2 } });
const pausing = await startServer({ after }, { settings: { 'sync.migrationPauseMs': PAUSE_MS } });
const nudging = await startServer({ after }, { settings: { 'sync.nudgeFacts': 10 } });
const renudging = await startServer({ after }, { settings: { 'sync.renudgeIntervalMs': 300 } });
const tight = await startServer({ after }, {
  settings: { 'limits.sessionQueueBytes': 256 * 1024, 'limits.sessionQueueFrames': 64 },
});
const A = site(1);
const B = site(2);
const WALL = 1_700_000_000_000;
const open = (db, who, on = server) => Session.open(on, { db, site: who });

test('what one site writes over WebSocket is pushed to the others as one message', async () => {
  const db = freshDatabase('push');
  const [a, b, c] = await Promise.all([open(db, A), open(db, B), open(db, site(3))]);
  const sets = [transactionAt(A, WALL, 0, [cell('t', [1], 'a', 'x'), migration('create_table', 't')]),
    transactionAt(A, WALL, 1, [remove('t', [2], { priorRow: [] })])];
  await a.apply(sets);
  for (const session of [b, c]) {
    const { type, changeSets, ...more } = await session.next();
    assert.equal(type, 'push_changes');
    assert.deepEqual(more, {});
    assert.deepEqual(changeSets, sets, 'the ChangeSets as they were sent, without a watermark set');
  }
  await a.barrier();
  assert.deepEqual(a.inbox, []);
  await Promise.all([a, b, c].map((session) => session.close()));
});

test('what comes over HTTP is pushed too', async () => {
  const db = freshDatabase('push-http');
  const b = await open(db, B);
  const set = transactionAt(A, WALL, 0, [cell('t', [1], 'a', 'x')]);
  await new HttpClient(server, A).apply(db, set);
  assert.deepEqual(await b.next(), { type: 'push_changes', changeSets: [set] });
  await b.close();
});

test('no session of the sender\'s site gets the push, on whatever connection', async () => {
  const db = freshDatabase('push-own');
  const own = await Promise.all([open(db, A), open(db, A), open(db, A)]);
  const other = await open(db, B);
  await own[0].apply([transactionAt(A, WALL, 0, [cell('t', [1], 'a', 'from A')])]);
  await new HttpClient(server, A).apply(db, transactionAt(A, WALL, 1, [cell('t', [2], 'a', 'from A')]));
  // What a third site writes later reaches every session: had the other pushes come at all, they came before.
  const marker = transactionAt(site(3), WALL, 0, [cell('t', [3], 'a', 'marker')]);
  await new HttpClient(server, site(3)).apply(db, marker);
  for (const session of own) {
    assert.deepEqual(await session.next('push_changes'), { type: 'push_changes', changeSets: [marker] });
    assert.deepEqual(session.inbox, []);
  }
  const pushed = [];
  while (factsOf(pushed).length < 3) pushed.push(...(await other.next('push_changes')).changeSets);
  assert.deepEqual(factsOf(pushed).map(({ pk }) => pk[0]), [1, 2, 3]);
  await Promise.all([...own, other].map((session) => session.close()));
});

test('facts of other sites are pushed by who sends them, not by who wrote them', async () => {
  const db = freshDatabase('push-relay');
  const [b, c] = await Promise.all([open(db, B), open(db, site(3))]);
  const set = transactionAt(B, WALL, 0, [cell('t', [1], 'a', 'written by B, brought by A')]);
  await new HttpClient(server, A).apply(db, set);
  assert.deepEqual((await b.next()).changeSets, [set]);
  assert.deepEqual((await c.next()).changeSets, [set]);
  await Promise.all([b.close(), c.close()]);
});

test('a batch that applies nothing is not pushed', async () => {
  const db = freshDatabase('push-nothing');
  const b = await open(db, B);
  const set = transactionAt(A, WALL, 0, [cell('t', [1], 'a', 'x')]);
  const client = new HttpClient(server, A);
  await client.apply(db, set);
  await client.apply(db, set);
  await client.apply(db);
  const last = transactionAt(A, WALL, 1, [cell('t', [2], 'a', 'x')]);
  await client.apply(db, last);
  const pushed = [];
  while (factsOf(pushed).length < 2) pushed.push(...(await b.next('push_changes')).changeSets);
  assert.deepEqual(pushed, [set, last]);
  await b.close();
});

test('a refused batch is not pushed', async () => {
  const db = freshDatabase('push-refused');
  const b = await open(db, B);
  const client = new HttpClient(server, A);
  const bad = transactionAt(A, WALL, 0, [cell('t', [1], 'a', 'x'), { ...cell('t', [2], 'a', 'x'), type: 'what' }]);
  assert.equal((await client.post(db, [bad])).status, 400);
  const good = transactionAt(A, WALL, 1, [cell('t', [3], 'a', 'x')]);
  await client.apply(db, good);
  assert.deepEqual((await b.next('push_changes')).changeSets, [good]);
  await b.close();
});

test('pushes come in the order in which the server accepted them', async () => {
  const db = freshDatabase('push-order');
  const b = await open(db, B);
  const a = await open(db, A);
  const writer = new Writer(A);
  const sets = Array.from({ length: 300 }, (_, n) => writer.transaction(cell('t', [n], 'a', n)));
  for (const set of sets) a.send({ type: 'apply_changes', changes: [set] });
  const pushed = [];
  while (pushed.length < sets.length) pushed.push(...(await b.next('push_changes')).changeSets);
  assert.deepEqual(pushed, sets);
  await Promise.all([a.close(), b.close()]);
});

test('every session gets every push once, and all of them in one order', async () => {
  const db = freshDatabase('push-many');
  const sessions = await Promise.all(Array.from({ length: 8 }, (_, n) => open(db, site(10 + n))));
  const writers = sessions.map((_, n) => new Writer(site(10 + n)));
  const PER_WRITER = 20;
  for (let i = 0; i < PER_WRITER; i++) {
    sessions.forEach((session, n) => session.send({ type: 'apply_changes', changes: [writers[n].transaction(cell('t', [n, i], 'a', i))] }));
  }
  const orders = [];
  for (const session of sessions) {
    const pushed = [];
    while (pushed.length < PER_WRITER * (sessions.length - 1)) pushed.push(...(await session.next('push_changes')).changeSets);
    orders.push(pushed.map(({ transactionId }) => transactionId));
    assert.equal(new Set(orders.at(-1)).size, PER_WRITER * (sessions.length - 1), 'nothing twice');
  }
  // What two sessions both got, they got in the order in which it was committed, whichever loops they are on.
  const common = (order, ...without) => order.filter((id) => !without.some((writer) => id.endsWith(writer.site)));
  for (let n = 1; n < sessions.length; n++) {
    assert.deepEqual(common(orders[n], writers[0], writers[n]), common(orders[0], writers[0], writers[n]), `session ${n}`);
  }
  await Promise.all(sessions.map((session) => session.close()));
});

test('an acknowledgement comes without waiting for slow receivers', async () => {
  const db = freshDatabase('push-slow');
  const [a, slow] = await Promise.all([open(db, A), open(db, B)]);
  slow.pause();
  const writer = new Writer(A);
  for (let i = 0; i < 20; i++) {
    assert.equal((await a.apply([writer.transaction(cell('t', [i], 'a', 'x'.repeat(50_000)))])).applied, 1);
  }
  slow.resume();
  await a.close();
  await slow.close();
});

test('after a push with migrations the next one waits, and what waits is merged into one message', async () => {
  const db = freshDatabase('push-pause');
  const b = await open(db, B, pausing);
  const client = new HttpClient(pausing, A);
  const first = transactionAt(A, WALL, 0, [migration('create_table', 't')]);
  await client.apply(db, first);
  const waiting = Array.from({ length: 5 }, (_, n) => transactionAt(A, WALL, n + 1, [cell('t', [n], 'a', n)]));
  for (const set of waiting) await client.apply(db, set);
  assert.deepEqual((await b.next('push_changes')).changeSets, [first]);
  await b.barrier();
  assert.deepEqual(b.types, [], 'the rest waits, other messages do not');
  assert.deepEqual((await b.next('push_changes')).changeSets, waiting);
  const times = b.history.filter(({ message }) => message.type === 'push_changes').map(({ at }) => at);
  assert.ok(times[1] - times[0] >= PAUSE_MS * 0.9, `${times[1] - times[0]} ms between the two`);
  await b.close();
});

test('what comes while a client has not read the last push is merged into one message', async () => {
  const db = freshDatabase('push-unread');
  const b = await open(db, B);
  const client = new HttpClient(server, A);
  const sets = Array.from({ length: 20 }, (_, n) => transactionAt(A, WALL, n, [cell('t', [1], 'a', n)]));
  b.pause();
  for (const set of sets) await client.apply(db, set);
  b.resume();
  const messages = [];
  while (messages.flat().length < sets.length) messages.push((await b.next('push_changes')).changeSets);
  assert.deepEqual(messages.flat(), sets);
  // A stock client would apply messages that it finds together at the same time, and could keep an old value.
  // The last push may still have been on its way when the client read again.
  assert.ok(messages.length <= 3, `${messages.length} messages for ${sets.length} pushes`);
  await b.close();
});

test('a push waits until the client has read a delta', async () => {
  const db = freshDatabase('push-after-delta');
  const client = new HttpClient(server, A);
  const writer = new Writer(A);
  for (let n = 0; n < 4; n++) await client.apply(db, writer.transaction(cell('t', [n], 'a', 'x'.repeat(50_000))));
  const b = await open(db, B);
  const { changeSets } = await b.changes();
  assert.equal(factsOf(changeSets).length, 4);
  await client.apply(db, writer.transaction(cell('t', [0], 'a', 'newer')));
  await b.next('push_changes');
  const times = b.history.filter(({ message }) => /changes/.test(message.type)).map(({ at }) => at);
  const pause = 4 * 50; // one of sync.pushPauseMs for each 64 KiB that were begun
  assert.ok(times[1] - times[0] >= pause * 0.9, `${times[1] - times[0]} ms between the two`);
  await b.close();
});

test('a nudge follows the apply_result of a message with many facts, until a smaller one comes', async () => {
  const db = freshDatabase('nudge');
  const a = await open(db, A, nudging);
  const writer = new Writer(A);
  const batch = (facts) => [writer.transaction(Array.from({ length: facts }, (_, n) => cell('t', [n], 'a', n)))];
  for (const facts of [10, 25, 10]) {
    await a.apply(batch(facts));
    assert.deepEqual(await a.next(), a.ack, `${facts} facts`);
  }
  await a.apply(batch(9));
  await a.barrier();
  assert.deepEqual(a.inbox, []);
  await a.close();
});

test('the facts of all ChangeSets of a message count for the nudge, migrations too', async () => {
  const db = freshDatabase('nudge-sum');
  const a = await open(db, A, nudging);
  const writer = new Writer(A);
  await a.apply(Array.from({ length: 10 }, (_, n) => writer.transaction(cell('t', [n], 'a', n))));
  await a.next('handshake_ack');
  await a.apply([writer.transaction(Array.from({ length: 5 }, (_, n) => cell('t', [n], 'a', n)),
    Array.from({ length: 5 }, (_, n) => migration('create_table', `t${n}`)))]);
  await a.next('handshake_ack');
  await a.close();
});

test('a message of known facts is nudged like any other: the client has more to send', async () => {
  const db = freshDatabase('nudge-known');
  const a = await open(db, A, nudging);
  const sets = [transactionAt(A, WALL, 0, Array.from({ length: 10 }, (_, n) => cell('t', [n], 'a', n)))];
  await a.apply(sets);
  await a.next('handshake_ack');
  const result = await a.apply(sets);
  assert.equal(result.conflicts, 10);
  await a.next('handshake_ack');
  await a.close();
});

test('HTTP writes nudge nobody', async () => {
  const db = freshDatabase('nudge-http');
  const b = await open(db, B, nudging);
  const set = transactionAt(A, WALL, 0, Array.from({ length: 50 }, (_, n) => cell('t', [n], 'a', n)));
  await new HttpClient(nudging, A).apply(db, set);
  await b.next('push_changes');
  await b.barrier();
  assert.deepEqual(b.inbox, []);
  await b.close();
});

test('sessions that stay are nudged from time to time', async () => {
  const db = freshDatabase('renudge');
  const session = await open(db, A, renudging);
  for (let n = 0; n < 3; n++) assert.deepEqual(await session.next('handshake_ack'), session.ack);
  await session.close();
});

test('a session that cannot keep up loses pushes, is nudged once it has drained, and catches up', async () => {
  const db = freshDatabase('lagging');
  const slow = await open(db, B, tight);
  await slow.changes();
  slow.pause();
  const client = new HttpClient(tight, A);
  const writer = new Writer(A);
  const COUNT = 300;
  const BYTES = 100_000; // in all more than socket buffers hold, and less than one delta may have
  for (let n = 0; n < COUNT; n++) await client.apply(db, writer.transaction(cell('t', [n], 'a', 'x'.repeat(BYTES))));
  slow.resume();
  const nudge = await slow.next('handshake_ack', { ms: 30_000 });
  assert.deepEqual(nudge, slow.ack);
  const pushed = slow.inbox.filter(({ type }) => type === 'push_changes').flatMap(({ changeSets }) => changeSets);
  assert.ok(pushed.length < COUNT, `${pushed.length} of ${COUNT} were pushed`);
  const { changeSets } = await slow.request({ type: 'get_changes' }, 'changes', { ms: 30_000 });
  assertSameValues(factsOf(changeSets).map(({ pk }) => pk[0]), Array.from({ length: COUNT }, (_, n) => n));
  // And from here on it is served as before.
  const last = writer.transaction(cell('t', ['last'], 'a', 1));
  await client.apply(db, last);
  assert.deepEqual((await slow.next(({ type, changeSets: sets }) => type === 'push_changes' &&
    sets.at(-1).transactionId === last.transactionId)).changeSets.at(-1), last);
  assert.deepEqual((await slow.changes(watermarkOf(changeSets))).changeSets.slice(0, 1), [last]);
  await slow.close();
});

test('a lagging session costs the others nothing', async () => {
  const db = freshDatabase('lagging-others');
  const [slow, quick] = await Promise.all([open(db, B, tight), open(db, site(3), tight)]);
  slow.pause();
  const client = new HttpClient(tight, A);
  const writer = new Writer(A);
  const seen = [];
  for (let n = 0; n < 100; n++) {
    await client.apply(db, writer.transaction(cell('t', [n], 'a', 'x'.repeat(100_000))));
    while (seen.length <= n) seen.push(...(await quick.next('push_changes')).changeSets);
  }
  assert.deepEqual(factsOf(seen).map(({ pk }) => pk[0]), Array.from({ length: 100 }, (_, n) => n));
  await slow.terminate();
  await quick.close();
});

test('a session that ends while pushes wait for it leaves the server well', async () => {
  const db = freshDatabase('ended');
  const sessions = await Promise.all(Array.from({ length: 10 }, (_, n) => open(db, site(20 + n), tight)));
  sessions.forEach((session) => session.pause());
  const client = new HttpClient(tight, A);
  const writer = new Writer(A);
  for (let n = 0; n < 30; n++) {
    await client.apply(db, writer.transaction(cell('t', [n], 'a', 'x'.repeat(100_000))));
    if (n % 3 === 0) sessions[n / 3].socket.terminate();
  }
  const reader = await open(db, site(50), tight);
  assert.equal(factsOf((await reader.changes()).changeSets).length, 30);
  await reader.close();
});
