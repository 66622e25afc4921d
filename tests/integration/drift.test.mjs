// Drift (protocol section 1): a batch with an HLC more than 60 s ahead of the server's clock is refused whole.
import test, { after } from 'node:test';
import assert from 'node:assert/strict';
import { assertError, assertRefused } from './lib/errors.mjs';
import { cell, migration, remove, transactionAt } from './lib/facts.mjs';
import { HttpClient } from './lib/http.mjs';
import { hlc, site } from './lib/ids.mjs';
import { freshDatabase } from './lib/names.mjs';
import { startServer } from './lib/server.mjs';
import { Session } from './lib/session.mjs';

const DRIFT_MS = 60_000;
const MARGIN_MS = 20_000; // the test's own clock readings are never this late
const server = await startServer({ after });
const A = site(1);

async function assertTooFarAhead(changes) {
  const db = freshDatabase('drift');
  const { message } = assertRefused(await new HttpClient(server, A).post(db, changes), 400);
  assert.match(message, /ahead|drift|clock/i);
  const session = await Session.open(server, { db, site: A });
  assertError(await session.request({ type: 'apply_changes', changes }, () => true), 'APPLY_CHANGES_ERROR');
  await session.close();
  assert.deepEqual((await new HttpClient(server, site(9)).readAll(db)).sets, []);
}

const good = () => transactionAt(A, Date.now(), 0, [cell('t', [1], 'a', 1)]);
const ahead = () => Date.now() + DRIFT_MS + MARGIN_MS;

test('a cell too far ahead refuses its whole batch', async () => {
  await assertTooFarAhead([good(), transactionAt(A, ahead(), 0, [cell('t', [2], 'a', 1)])]);
});

test('a delete too far ahead refuses its whole batch', async () => {
  await assertTooFarAhead([good(), transactionAt(A, ahead(), 0, [remove('t', [2])])]);
});

test('a migration too far ahead refuses its whole batch', async () => {
  await assertTooFarAhead([good(), transactionAt(A, ahead(), 0, [migration('create_table', 't')])]);
});

test('one fact too far ahead among good ones of its ChangeSet refuses the batch', async () => {
  const set = good();
  set.changes.push({ ...cell('t', [2], 'a', 1), hlc: hlc(ahead(), 0, A) });
  await assertTooFarAhead([set]);
});

test('a ChangeSet HLC too far ahead refuses the batch, also without facts', async () => {
  await assertTooFarAhead([{ ...good(), hlc: hlc(ahead(), 0, A) }]);
  await assertTooFarAhead([good(), transactionAt(A, ahead(), 0, [])]);
});

test('the greatest HLC that there is does not wrap around', async () => {
  await assertTooFarAhead([{ ...good(), hlc: '/'.repeat(40) }]);
  const set = good();
  set.changes.push({ ...cell('t', [2], 'a', 1), hlc: '/'.repeat(40) });
  await assertTooFarAhead([set]);
});

test('a fact less than 60 s ahead is taken', async () => {
  const db = freshDatabase('near');
  const set = transactionAt(A, Date.now() + DRIFT_MS - MARGIN_MS, 0, [cell('t', [1], 'a', 1)]);
  assert.equal((await new HttpClient(server, A).apply(db, set)).applied, 1);
});

test('a fact of long ago is taken', async () => {
  const db = freshDatabase('old');
  assert.equal((await new HttpClient(server, A).apply(db, transactionAt(A, 0, 0, [cell('t', [1], 'a', 1)]))).applied, 1);
});

test('a priorHlc may be anywhere', async () => {
  const db = freshDatabase('prior');
  const set = good();
  Object.assign(set.changes[0], { priorHlc: hlc(ahead(), 0, A), priorValue: 1 });
  assert.equal((await new HttpClient(server, A).apply(db, set)).applied, 1);
});
