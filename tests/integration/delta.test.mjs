// Deltas (protocol sections 6 and 8.1): what get_changes returns, and that no reader ever misses a fact.
import test, { after } from 'node:test';
import assert from 'node:assert/strict';
import { assertSameValues } from './lib/compare.mjs';
import { cell, factSets, factsOf, migration, remove, transactionAt, watermarkOf } from './lib/facts.mjs';
import { HttpClient } from './lib/http.mjs';
import { compareHlc, hlc, readHlc, site } from './lib/ids.mjs';
import { freshDatabase } from './lib/names.mjs';
import { runSeed, Random } from './lib/random.mjs';
import { startServer } from './lib/server.mjs';
import { Session } from './lib/session.mjs';

const server = await startServer({ after });
const paging = await startServer({ after }, { settings: { 'limits.deltaBytes': 4096 } });
const A = site(1);
const B = site(2);
const WALL = 1_700_000_000_000;
const as = (who, on = server) => new HttpClient(on, who);
const reader = as(site(99));
const at = (n, ...drafts) => transactionAt(A, WALL + n, 0, drafts);
const from = (who, n, ...drafts) => transactionAt(who, WALL + n, 0, drafts);
const ids = (sets) => factSets(sets).map(({ transactionId }) => transactionId);

test('a delta ends with a set that carries only the watermark', async () => {
  const db = freshDatabase('watermark');
  const session = await Session.open(server, { db, site: site(9) });
  await as(A).apply(db, at(5, cell('t', [1], 'a', 1)));
  const overHttp = (await reader.delta(db)).changes;
  const { type, changeSets, ...more } = await session.changes();
  assert.equal(type, 'changes');
  assert.deepEqual(more, {});
  assert.deepEqual(changeSets, overHttp);
  const last = changeSets.at(-1);
  assert.deepEqual(Object.keys(last).sort(), ['changes', 'hlc', 'schemaMigrations', 'siteId', 'transactionId']);
  assert.deepEqual([last.changes, last.schemaMigrations, last.siteId], [[], [], session.ack.serverSiteId]);
  assert.equal(typeof last.transactionId, 'string');
  assert.equal(readHlc(last.hlc).site, session.ack.serverSiteId);
  await session.close();
});

test('a stamp is one above the highest clock that arrived, and looks at no other clock', async () => {
  const db = freshDatabase('stamps');
  const stamp = async () => {
    const { wall, counter } = readHlc(watermarkOf((await reader.delta(db)).changes));
    return [wall - WALL, counter];
  };
  await as(A).apply(db, transactionAt(A, WALL + 10, 7, [cell('t', [1], 'a', 1)]));
  assert.deepEqual(await stamp(), [10, 8]);
  await as(A).apply(db, transactionAt(A, WALL + 5, 0, [cell('t', [2], 'a', 1)]));
  assert.deepEqual(await stamp(), [10, 9]);
  await as(A).apply(db, transactionAt(A, WALL + 20, 65535, [cell('t', [3], 'a', 1)]));
  assert.deepEqual(await stamp(), [21, 0]);
  await as(A).apply(db, transactionAt(A, WALL + 21, 0, [cell('t', [4], 'a', 1)]));
  assert.deepEqual(await stamp(), [21, 1]);
});

test('a batch that applies nothing takes no stamp', async () => {
  const db = freshDatabase('nothing');
  const set = at(5, cell('t', [1], 'a', 1), remove('t', [2]));
  await as(A).apply(db, set);
  const mark = watermarkOf((await reader.delta(db)).changes);
  for (const again of [[set], [set, set], [], [at(9, cell('t', [2], 'a', 'deleted row'))]]) {
    assert.equal((await as(B).apply(db, again)).applied, 0);
    assert.equal(watermarkOf((await reader.delta(db)).changes), mark);
    assert.deepEqual((await reader.delta(db, mark)).changes, []);
  }
});

test('nothing new is an empty list', async () => {
  const db = freshDatabase('nothing-new');
  await as(A).apply(db, at(1, cell('t', [1], 'a', 1)));
  const mark = watermarkOf((await reader.delta(db)).changes);
  assert.deepEqual((await reader.delta(db, mark)).changes, []);
  const session = await Session.open(server, { db, site: site(9) });
  assert.deepEqual(await session.changes(mark), { type: 'changes', changeSets: [] });
  await session.close();
});

test('a fact delivered late reaches a reader whose watermark is newer', async () => {
  const db = freshDatabase('late');
  await as(A).apply(db, at(1000, cell('t', [1], 'a', 'on time')));
  const mark = watermarkOf((await reader.delta(db)).changes);
  const late = from(B, 1, cell('t', [2], 'a', 'written offline long ago'));
  await as(B).apply(db, late);
  const { changes } = await reader.delta(db, mark);
  assert.deepEqual(factSets(changes), [late]);
  assert.ok(compareHlc(watermarkOf(changes), mark) > 0);
});

test('late facts are found again after many of them, in the order of their arrival', async () => {
  const db = freshDatabase('late-many');
  await as(A).apply(db, at(1000, cell('t', [0], 'a', 0)));
  const { watermark } = await reader.readAll(db);
  const late = Array.from({ length: 20 }, (_, n) => from(site(100 + n), 900 - 10 * n, cell('t', [n + 1], 'a', n)));
  for (const set of late) await as(set.siteId).apply(db, set);
  assert.deepEqual(ids((await reader.delta(db, watermark)).changes), late.map(({ transactionId }) => transactionId));
});

test('a plain fact HLC as watermark never hides what the client lacks', async () => {
  const db = freshDatabase('fact-mark');
  const first = at(10, cell('t', [1], 'a', 1));
  await as(A).apply(db, first);
  const late = from(B, 5, cell('t', [2], 'a', 2));
  await as(B).apply(db, late);
  const { changes } = await reader.delta(db, first.hlc);
  assert.ok(ids(changes).includes(late.transactionId));
});

test('the facts of the asking site are left out, with the watermark still moving', async () => {
  const db = freshDatabase('own');
  await as(A).apply(db, [at(1, cell('t', [1], 'a', 1)), from(B, 2, cell('t', [2], 'a', 2))]);
  const { changes } = await as(A).delta(db);
  assert.deepEqual(ids(changes), [`${WALL + 2}:0:${B}`]);
  const mark = watermarkOf(changes);
  await as(A).apply(db, at(3, cell('t', [3], 'a', 3)));
  const later = (await as(A).delta(db, mark)).changes;
  assert.equal(later.length, 1, 'one set, for the watermark');
  assert.deepEqual(factSets(later), []);
  assert.ok(compareHlc(later[0].hlc, mark) > 0);
  assert.deepEqual((await as(A).delta(db, later[0].hlc)).changes, []);
});

test('only current facts are sent', async () => {
  const db = freshDatabase('current');
  await as(A).apply(db, at(1, cell('t', [1], 'a', 'old'), cell('t', [1], 'b', 'kept'), cell('t', [2], 'a', 'deleted')));
  await as(A).apply(db, at(2, cell('t', [1], 'a', 'new'), remove('t', [2])));
  const { changes } = await reader.delta(db);
  assert.deepEqual(factsOf(changes).map(({ type, value }) => value ?? type).sort(), ['delete', 'kept', 'new']);
});

test('a ChangeSet is one source transaction, its facts in opSeq order', async () => {
  const db = freshDatabase('order');
  const drafts = Array.from({ length: 50 }, (_, n) => cell(`t${n % 3}`, [n % 7], `c${n}`, n));
  const set = at(1, drafts);
  const shuffled = { ...set, changes: new Random(3).shuffle(set.changes) };
  await as(A).apply(db, [shuffled, from(B, 1, cell('t', [1], 'a', 1))]);
  const sets = factSets((await reader.delta(db)).changes);
  assertSameValues(sets.map(({ transactionId }) => transactionId), [set.transactionId, `${WALL + 1}:0:${B}`]);
  const found = sets.find(({ siteId }) => siteId === A);
  assert.deepEqual(found.changes.map(({ hlc: text }) => readHlc(text).op), Array.from({ length: 50 }, (_, n) => n));
  assert.equal(found.hlc, set.hlc);
});

test('migrations travel in the ChangeSet of their transaction', async () => {
  const db = freshDatabase('migrations');
  const set = at(1, migration('create_table', 't'), cell('t', [1], 'a', 1), migration('add_index', 't'));
  await as(A).apply(db, set);
  assert.deepEqual(factSets((await reader.delta(db)).changes), [set]);
});

test('a transaction that arrived in several batches is whole once all of it has come', async () => {
  const db = freshDatabase('pieces');
  const set = at(1, cell('t', [1], 'a', 1), cell('t', [2], 'a', 2), cell('t', [3], 'a', 3));
  const piece = (n) => ({ ...set, hlc: set.changes[n].hlc, changes: [set.changes[n]] });
  await as(A).apply(db, piece(1));
  const { watermark } = await reader.readAll(db);
  await as(B).apply(db, piece(0));
  await as(A).apply(db, piece(2));
  const after = (await reader.readAll(db, watermark)).sets;
  assert.ok(after.every(({ transactionId, siteId }) => transactionId === set.transactionId && siteId === A));
  assertSameValues(factsOf(after), [set.changes[0], set.changes[2]]);
  assertSameValues(factsOf((await reader.readAll(db)).sets), set.changes);
});

test('the watermark is never below the one that was asked with', async () => {
  const db = freshDatabase('never-below');
  await as(A).apply(db, at(1, cell('t', [1], 'a', 1)));
  const future = hlc(Date.now() + 50_000, 0, B);
  assert.deepEqual(factSets((await reader.delta(db, future)).changes), []);
  await as(A).apply(db, at(2, cell('t', [2], 'a', 1)));
  for (const since of [future, hlc(WALL, 0, A), hlc(WALL + 2, 0, A)]) {
    const { changes } = await reader.delta(db, since);
    if (changes.length > 0) assert.ok(compareHlc(watermarkOf(changes), since) >= 0);
  }
});

test('over HTTP pages follow each other by hasMore, whole transactions each, nothing twice', async () => {
  const db = freshDatabase('pages');
  const sets = Array.from({ length: 60 }, (_, n) => at(n, [0, 1, 2].map((k) => cell('t', [n, k], 'a', 'x'.repeat(150)))));
  for (let n = 0; n < sets.length; n += 20) await as(A, paging).apply(db, sets.slice(n, n + 20));
  const read = await as(site(99), paging).readAll(db);
  assert.ok(read.pages > 3, `${read.pages} pages`);
  assert.deepEqual(read.sets, sets);
  assert.deepEqual((await as(site(99), paging).delta(db, read.watermark)).changes, []);
});

test('a page is one transaction at least, however large', async () => {
  const db = freshDatabase('large');
  const sets = [at(1, cell('t', [1], 'a', 'x'.repeat(20_000))), at(2, Array.from({ length: 300 }, (_, n) =>
    cell('u', [n], 'a', 'y'.repeat(100)))), at(3, cell('t', [2], 'a', 1))];
  for (const set of sets) await as(A, paging).apply(db, set);
  const read = await as(site(99), paging).readAll(db);
  assert.deepEqual(read.sets, sets);
});

test('pages of which the asker owns everything still end', async () => {
  const db = freshDatabase('own-pages');
  for (let n = 0; n < 50; n++) await as(A, paging).apply(db, at(n, cell('t', [n], 'a', 'x'.repeat(500))));
  const other = from(B, 1, cell('t', ['b'], 'a', 1));
  await as(B, paging).apply(db, other);
  assert.deepEqual((await as(A, paging).readAll(db)).sets, [other]);
});

test('what is written between two pages is not missed', async () => {
  const db = freshDatabase('between');
  const sets = Array.from({ length: 40 }, (_, n) => at(1000 + n, cell('t', [n], 'a', 'x'.repeat(400))));
  await as(A, paging).apply(db, sets);
  const client = as(site(99), paging);
  const facts = new Map();
  let watermark;
  for (let page = 0, more = true; more; page++) {
    assert.ok(page < 100);
    const { changes, hasMore } = await client.delta(db, watermark);
    for (const fact of factsOf(changes)) facts.set(`${fact.pk}`, fact);
    watermark = watermarkOf(changes) ?? watermark;
    if (page < 5) await as(B, paging).apply(db, from(B, page, cell('t', [`late ${page}`], 'a', 1), cell('t', [39 - page], 'a', 'old')));
    more = hasMore || page < 5;
  }
  assert.equal(facts.size, 45);
});

test('readers who poll at random moments end with everything, whatever the order of arrival', async (t) => {
  const random = new Random(runSeed());
  t.diagnostic(`SYNC_TEST_SEED=${random.seed}`);
  const db = freshDatabase('random');
  const readers = [3, 4, 5].map((n) => ({ client: as(site(n), random.chance(50) ? paging : server), seen: new Map() }));
  for (const on of [server, paging]) {
    for (let step = 0; step < 80; step++) {
      const who = site(random.between(3, 8));
      const drafts = Array.from({ length: random.between(1, 4) }, () => random.chance(15)
        ? remove('t', [random.below(30)]) : cell('t', [random.below(30)], random.pick(['a', 'b']), random.below(1000)));
      await as(who, on).apply(db, transactionAt(who, WALL + random.below(5000), step, drafts));
      for (const reader of readers.filter(({ client }) => client.server === on)) {
        if (random.chance(20)) await poll(reader, db);
      }
    }
  }
  for (const reader of readers) {
    await poll(reader, db);
    const whole = await as(reader.client.site, reader.client.server).readAll(db);
    for (const fact of factsOf(whole.sets)) assert.ok(reader.seen.has(`${fact.type} ${fact.hlc}`), JSON.stringify(fact));
  }
});

async function poll(reader, db) {
  const { sets, watermark } = await reader.client.readAll(db, reader.watermark);
  for (const fact of factsOf(sets)) reader.seen.set(`${fact.type} ${fact.hlc}`, fact);
  reader.watermark = watermark;
}
