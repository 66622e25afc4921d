// Catch-up over several pages on one connection (protocol section 8.2): a page goes out only when the client
// has proved the one before it, so that no `changes` applied late or not at all loses data.
import test, { after } from 'node:test';
import assert from 'node:assert/strict';
import { cell, factSets, factsOf, transactionAt, watermarkOf } from './lib/facts.mjs';
import { HttpClient } from './lib/http.mjs';
import { compareHlc, site } from './lib/ids.mjs';
import { freshDatabase } from './lib/names.mjs';
import { startServer } from './lib/server.mjs';
import { Session } from './lib/session.mjs';
import { StockClient } from './lib/stock-client.mjs';

const PROOF_MS = 60_000; // longer than any test: a page without proof is a failure here
const FACTS = 60;
const patient = await startServer({ after }, { settings: { 'limits.deltaBytes': 4096, 'sync.pageProofTimeoutMs': PROOF_MS } });
const impatient = await startServer({ after }, { settings: { 'limits.deltaBytes': 4096, 'sync.pageProofTimeoutMs': 200 } });
const A = site(1);
const WALL = 1_700_000_000_000;

// A database with FACTS transactions of some 400 bytes: about seven pages.
async function filled(on = patient) {
  const db = freshDatabase('pages');
  const sets = Array.from({ length: FACTS }, (_, n) => transactionAt(A, WALL + n, 0, [cell('t', [n], 'a', 'x'.repeat(250))]));
  await new HttpClient(on, A).apply(db, sets);
  return { db, sets, session: await Session.open(on, { db, site: site(2) }) };
}
const keys = (sets) => factsOf(sets).map(({ pk }) => pk[0]);
const all = Array.from({ length: FACTS }, (_, n) => n);

test('each page is followed by a handshake_ack, and the next comes for its watermark', async () => {
  const { session, db } = await filled();
  const sets = [];
  let message = await session.changes();
  let pages = 1;
  for (; ; pages++) {
    assert.ok(pages < 100);
    sets.push(...factSets(message.changeSets));
    const mark = watermarkOf(message.changeSets);
    const last = sets.length === FACTS;
    if (last) break;
    const nudge = await session.next();
    assert.deepEqual(nudge, session.ack, 'a nudge is the handshake_ack again');
    await session.barrier();
    assert.deepEqual(session.inbox, [], 'no page without its proof');
    message = await session.changes(mark);
  }
  assert.ok(pages > 3, `${pages} pages`);
  assert.deepEqual(keys(sets), all);
  assert.deepEqual((await session.changes(watermarkOf(message.changeSets))).changeSets, []);
  assert.deepEqual((await new HttpClient(patient, site(2)).readAll(db)).sets, sets);
  await session.close();
});

test('a lower watermark is not a proof: the server nudges again, and a right answer then gets the next page', async () => {
  const { session } = await filled();
  const first = (await session.changes()).changeSets;
  const mark = watermarkOf(first);
  await session.next('handshake_ack');
  session.send({ type: 'get_changes' }); // the page is still being applied, so the stored watermark is the old one
  await session.next('handshake_ack');
  assert.deepEqual(session.inbox.filter(({ type }) => type === 'changes'), []);
  const second = (await session.changes(mark)).changeSets;
  assert.equal(keys(second)[0], keys(first).at(-1) + 1);
  await session.close();
});

test('a watermark that stays lower is served from there', async () => {
  const { session } = await filled();
  const first = (await session.changes()).changeSets;
  const mark = watermarkOf(first);
  await session.next('handshake_ack');
  const second = (await session.changes(mark)).changeSets;
  await session.next('handshake_ack');
  // The store failed on the second page: whatever the server asks, the client's watermark stays at the first.
  let resent;
  for (let nudges = 0; resent === undefined; nudges++) {
    assert.ok(nudges < 10, 'the page is sent again after a few nudges');
    session.send({ type: 'get_changes', sinceHLC: mark });
    const answer = await session.next(['handshake_ack', 'changes']);
    if (answer.type === 'changes') resent = answer.changeSets;
  }
  assert.deepEqual(resent, second);
  await session.close();
});

test('a client that gives no proof in time gets the next page all the same', async () => {
  const { session } = await filled(impatient);
  session.send({ type: 'get_changes' });
  const sets = [];
  while (sets.length < FACTS) {
    const { changeSets } = await session.next('changes');
    sets.push(...factSets(changeSets));
  }
  assert.deepEqual(keys(sets), all);
  await session.close();
});

test('page watermarks rise, and each covers its page', async () => {
  const { session } = await filled(impatient);
  session.send({ type: 'get_changes' });
  let before;
  for (let facts = 0; facts < FACTS;) {
    const { changeSets } = await session.next('changes');
    const mark = watermarkOf(changeSets);
    assert.equal(changeSets.at(-1).hlc, mark, 'the watermark set is the last');
    assert.deepEqual(factSets([changeSets.at(-1)]), []);
    if (before !== undefined) assert.ok(compareHlc(mark, before) > 0);
    before = mark;
    facts += factsOf(changeSets).length;
  }
  await session.close();
});

test('pings and applies are answered between two pages', async () => {
  const { session } = await filled();
  const mark = watermarkOf((await session.changes()).changeSets);
  await session.next('handshake_ack');
  await session.barrier();
  const result = await session.apply([transactionAt(site(2), WALL + 1, 0, [cell('t', ['own'], 'a', 1)])]);
  assert.equal(result.applied, 1);
  assert.ok(keys((await session.changes(mark)).changeSets).length > 0);
  await session.close();
});

test('a whole page arrives at a stock client only page by page, however slow it applies', async () => {
  const { db, session } = await filled();
  await session.close();
  const client = new StockClient(patient, { db, site: site(3), factsPerTurn: 1 });
  const whole = client.until('applied', () => client.replica.facts().length === FACTS);
  await client.connect();
  await whole;
  assert.deepEqual(client.errors, []);
  await client.disconnect();
});

test('a stock client whose store fails on one page ends with everything on the same connection', async () => {
  for (const page of [1, 2, 4]) {
    const { db, session } = await filled();
    await session.close();
    const client = new StockClient(patient, { db, site: site(3) });
    let pages = 0;
    client.on('message', ({ type }) => {
      if (type === 'changes' && (pages += 1) === page) client.failNext();
    });
    const connections = new Set();
    client.on('ack', ({ connectionId }) => connections.add(connectionId));
    const whole = client.until('applied', () => client.replica.facts().length === FACTS);
    await client.connect();
    await whole;
    assert.equal(client.failures, 0, 'the page did fail');
    assert.equal(connections.size, 1, 'no reconnect');
    await client.disconnect();
  }
});

test('while one page is being applied, pushes do not overtake the proof', async () => {
  const { db, session } = await filled();
  const first = (await session.changes()).changeSets;
  await session.next('handshake_ack');
  await new HttpClient(patient, site(5)).apply(db, transactionAt(site(5), WALL + 5000, 0, [cell('t', ['pushed'], 'a', 1)]));
  const push = await session.next('push_changes');
  assert.deepEqual(keys(push.changeSets), ['pushed']);
  const got = [...factSets(first)];
  for (let mark = watermarkOf(first), pages = 0; ; pages++) {
    assert.ok(pages < 100);
    const { changeSets } = await session.changes(mark);
    got.push(...factSets(changeSets));
    mark = watermarkOf(changeSets);
    if (got.length === FACTS + 1) break;
    await session.next('handshake_ack');
  }
  assert.deepEqual(new Set(keys(got)), new Set([...all, 'pushed']));
  await session.close();
});
