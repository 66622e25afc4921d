// Long polls: GET changes with wait=SECONDS answers as soon as there is something new, or empty after the time.
import test, { after } from 'node:test';
import assert from 'node:assert/strict';
import http from 'node:http';
import { cell, factSets, transactionAt, watermarkOf } from './lib/facts.mjs';
import { HttpClient } from './lib/http.mjs';
import { site } from './lib/ids.mjs';
import { freshDatabase } from './lib/names.mjs';
import { startServer } from './lib/server.mjs';
import { Session } from './lib/session.mjs';

const LONG_S = 30;
const server = await startServer({ after });
const capped = await startServer({ after }, { settings: { 'limits.longPollMaxMs': 400 } });
const A = site(1);
const WALL = 1_700_000_000_000;
const as = (who, on = server) => new HttpClient(on, who);
const at = (n, ...drafts) => transactionAt(A, WALL + n, 0, drafts);

async function timed(promise) {
  const from = Date.now();
  const value = await promise;
  return { value, ms: Date.now() - from };
}

// Whether a poll or the write after it reaches the server first, the poll has to bring what was written.
test('a poll is answered by what another client writes over HTTP', async () => {
  const db = freshDatabase('poll');
  const poll = as(site(2)).delta(db, undefined, { wait: LONG_S });
  const set = at(1, cell('t', [1], 'a', 1));
  await as(A).apply(db, set);
  const { changes } = await poll;
  assert.deepEqual(factSets(changes), [set]);
  assert.notEqual(watermarkOf(changes), set.hlc);
});

test('a poll is answered by what another client writes over WebSocket', async () => {
  const db = freshDatabase('poll-ws');
  const session = await Session.open(server, { db, site: A });
  const poll = as(site(2)).delta(db, undefined, { wait: LONG_S });
  const set = at(1, cell('t', [1], 'a', 1));
  await session.apply([set]);
  assert.deepEqual(factSets((await poll).changes), [set]);
  await session.close();
});

test('a poll answers at once where something is new', async () => {
  const db = freshDatabase('poll-new');
  await as(A).apply(db, at(1, cell('t', [1], 'a', 1)));
  const { value, ms } = await timed(as(site(2)).delta(db, undefined, { wait: LONG_S }));
  assert.equal(factSets(value.changes).length, 1);
  assert.ok(ms < LONG_S * 1000 / 2, `${ms} ms`);
});

test('a poll with nothing new is empty after its time', async () => {
  const db = freshDatabase('poll-empty');
  const { value, ms } = await timed(as(site(2)).delta(db, undefined, { wait: 1 }));
  assert.deepEqual(value.changes, []);
  assert.ok(ms >= 900, `${ms} ms`);
});

test('a poll that asks for more than the server allows is answered earlier', async () => {
  const { value, ms } = await timed(as(site(2), capped).delta(freshDatabase('poll-cap'), undefined, { wait: 3600 }));
  assert.deepEqual(value.changes, []);
  assert.ok(ms >= 350 && ms < 10_000, `${ms} ms`);
});

test('wait=0 does not wait', async () => {
  assert.deepEqual((await as(site(2)).delta(freshDatabase('poll-zero'), undefined, { wait: 0 })).changes, []);
});

test('a wait that is no number of seconds is 400', async () => {
  const db = freshDatabase('poll-bad');
  for (const wait of ['x', '-1', '1x', 'NaN', '1e', '%20']) {
    assert.equal((await as(site(2)).get(`/${db}/changes?wait=${wait}`)).status, 400, wait);
  }
});

test('a poller\'s own writes are not sent to it', async () => {
  const db = freshDatabase('poll-own');
  const poll = as(A).delta(db, undefined, { wait: LONG_S });
  const own = at(1, cell('t', [1], 'a', 1));
  await as(A).apply(db, own);
  const other = transactionAt(site(3), WALL + 2, 0, [cell('t', [2], 'a', 1)]);
  await as(site(3)).apply(db, other);
  const seen = factSets((await poll).changes);
  if (seen.length > 0) assert.deepEqual(seen, [other]);
});

test('writes to another database do not answer a poll', async () => {
  const db = freshDatabase('poll-elsewhere');
  const poll = as(site(2)).delta(db, undefined, { wait: 1 });
  await as(A).apply(freshDatabase('poll-there'), at(1, cell('t', [1], 'a', 1)));
  assert.deepEqual((await poll).changes, []);
});

test('a batch that applies nothing does not answer a poll', async () => {
  const db = freshDatabase('poll-nothing');
  const set = at(1, cell('t', [1], 'a', 1));
  await as(A).apply(db, set);
  const mark = watermarkOf((await as(site(2)).delta(db)).changes);
  const poll = as(site(2)).delta(db, mark, { wait: 1 });
  await as(site(3)).apply(db, set);
  assert.deepEqual((await poll).changes, []);
});

test('one write answers every poll that waits', async () => {
  const db = freshDatabase('poll-many');
  const polls = Array.from({ length: 40 }, (_, n) => as(site(100 + n)).delta(db, undefined, { wait: LONG_S }));
  const set = at(1, cell('t', [1], 'a', 1));
  await as(A).apply(db, set);
  for (const { changes } of await Promise.all(polls)) assert.deepEqual(factSets(changes), [set]);
});

test('a poller that leaves is forgotten', async () => {
  const db = freshDatabase('poll-left');
  const gone = new Promise((resolve) => {
    const req = http.get(`${server.base}/${db}/changes?wait=${LONG_S}`, { headers: { 'x-site-id': site(2) } });
    req.on('error', resolve);
    req.on('socket', (socket) => socket.on('connect', () => setImmediate(() => req.destroy())));
  });
  await gone;
  assert.equal((await as(A).apply(db, at(1, cell('t', [1], 'a', 1)))).applied, 1);
  assert.equal(factSets((await as(site(2)).delta(db)).changes).length, 1);
});

test('polls follow a writer without missing or repeating anything', async () => {
  const db = freshDatabase('poll-follow');
  const COUNT = 60;
  const sets = Array.from({ length: COUNT }, (_, n) => at(n, cell('t', [n], 'a', n)));
  const reading = (async () => {
    const seen = [];
    for (let mark; seen.length < COUNT;) {
      const { changes } = await as(site(2)).delta(db, mark, { wait: LONG_S });
      seen.push(...factSets(changes));
      mark = watermarkOf(changes) ?? mark;
    }
    return seen;
  })();
  for (const set of sets) await as(A).apply(db, set);
  assert.deepEqual(await reading, sets);
});
