// The shared log in an object directory: what is uploaded and when, what an acknowledgement means with durability
// object, what happens while the object store is away, and that two servers never write one log.
//
// SYNC_TEST_KILLS sets how often the server is killed, SYNC_TEST_SEED repeats a run.
import test from 'node:test';
import assert from 'node:assert/strict';
import { mkdirSync, renameSync } from 'node:fs';
import path from 'node:path';
import { cell, remove, Writer } from './lib/facts.mjs';
import { HttpClient, request } from './lib/http.mjs';
import { site } from './lib/ids.mjs';
import { Random, runSeed } from './lib/random.mjs';
import { Server, startServer, temporaryDirectory } from './lib/server.mjs';
import { Session } from './lib/session.mjs';
import { CLOSED, OBJECT_DURABLE, OPENED, factsInLog, readLog } from './lib/shared-log.mjs';
import { until } from './lib/wait.mjs';

const KILLS = Number(process.env.SYNC_TEST_KILLS ?? 8);

function settings(objectDir, more = {}) {
  return { 'object.dir': objectDir, 'object.logTickMs': 100, 'storage.durability': 'fsync', ...more };
}

async function metric(server, name) {
  const { text } = await request(server.base, { path: '/metrics' });
  const line = text.split('\n').find((one) => one.startsWith(`${name} `));
  return line === undefined ? 0 : Number(line.split(' ')[1]);
}

async function isReady(server) {
  return (await request(server.base, { path: '/readyz' })).status === 200;
}

const said = (server, words) => until(() => server.log.find((line) => line.includes(words)),
  () => `${words} in the log:\n${server.logText()}`);

test('one object a tick holds what all databases accepted, and a clean stop says that it is all', async (t) => {
  const objects = path.join(temporaryDirectory(), 'objects');
  const server = await startServer(t, { settings: settings(objects, { 'object.logTickMs': 60_000 }) });
  const writer = new Writer(site(1));
  const client = new HttpClient(server, writer.site);
  const databases = Array.from({ length: 40 }, (_, i) => `tenant-${i}`);
  for (const db of databases) {
    await client.apply(db, [writer.transaction(cell('t', [1], 'c', 'first'), cell('t', [2], 'c', db))]);
    await client.apply(db, [writer.transaction(cell('t', [1], 'c', 'second'), remove('t', [3]))]);
  }
  assert.equal(readLog(objects).objects.length, 1, 'the one that says that the server has begun');
  await server.stop();
  const { objects: written } = readLog(objects);
  assert.deepEqual(written.map(({ flags }) => flags), [OPENED, 0, CLOSED]);
  assert.equal(written[1].sections.length, databases.length);
  for (const db of databases) {
    const facts = factsInLog(objects, db);
    assert.deepEqual(facts.map(({ type, pk, value }) => [type, pk, value]),
      [['column', [2], db], ['column', [1], 'second'], ['delete', [3], undefined]]);
    assert.equal(facts[1].priorValue, 'first');
    assert.ok(Math.abs(facts[2].createdAt - Date.now()) < 60_000);
  }
  await server.start();
  await server.stop();
  assert.deepEqual(readLog(objects).objects.map(({ flags }) => flags), [OPENED, 0, CLOSED, OPENED, CLOSED]);
});

// Writes until told to stop; remembers what was acknowledged.
async function write(run, number, connect) {
  const writer = new Writer(site(100 + number));
  for (let count = 0; !run.over;) {
    try {
      const send = await connect(writer);
      for (; !run.over; count++) {
        const pk = [number, count];
        const db = `db-${(number + count) % 5}`;
        await send(db, [writer.transaction(cell('t', pk, 'c', 'x'.repeat(run.random.below(300))))]);
        run.acknowledged.push({ db, pk });
        if ((run.left -= 1) === 0) run.reached();
      }
    } catch (error) {
      if (run.serverIsUp()) throw error;
      await run.back();
    }
  }
}

test('kill -9 at random moments: every fact acknowledged in object mode is in the log', async (t) => {
  const random = new Random(runSeed(t));
  const objects = path.join(temporaryDirectory(), 'objects');
  const server = await startServer(t, { settings: settings(objects, { 'storage.durability': 'object' }) });
  let up = true;
  let wake = [];
  const run = {
    random, acknowledged: [], over: false, left: Infinity,
    serverIsUp: () => up,
    back: () => (up ? Promise.resolve() : new Promise((resolve) => wake.push(resolve))),
  };
  const overHttp = async (writer) => {
    const client = new HttpClient(server, writer.site);
    return (db, sets) => client.apply(db, sets);
  };
  const overWebSocket = async (writer) => {
    const sessions = new Map();
    return async (db, sets) => {
      if (!sessions.has(db)) sessions.set(db, await Session.open(server, { db, site: writer.site }));
      await sessions.get(db).apply(sets);
    };
  };
  const writers = Array.from({ length: 8 }, (_, i) => write(run, i, i % 2 === 0 ? overHttp : overWebSocket));
  for (let kill = 0; kill < KILLS; kill++) {
    await new Promise((resolve) => {
      run.reached = resolve;
      run.left = random.between(1, 120);
    });
    up = false;
    await server.kill();
    const seen = new Map();
    for (const { db, pk } of run.acknowledged) {
      if (!seen.has(db)) seen.set(db, new Set(factsInLog(objects, db).map((fact) => JSON.stringify(fact.pk))));
      assert.ok(seen.get(db).has(JSON.stringify(pk)), `${db} ${JSON.stringify(pk)} is in the log after kill ${kill}`);
    }
    await server.start();
    up = true;
    wake.splice(0).forEach((resolve) => resolve());
  }
  run.over = true;
  await Promise.all(writers);
  assert.ok(run.acknowledged.length > KILLS);
  assert.ok(readLog(objects).objects.every(({ flags }) => flags & OBJECT_DURABLE));
});

test('while the object store is away writes go on, and are uploaded when it is back', async (t) => {
  const objects = path.join(temporaryDirectory(), 'objects');
  const server = await startServer(t, { settings: settings(objects, { 'object.readyBacklogMs': 1 }) });
  const writer = new Writer(site(1));
  const client = new HttpClient(server, writer.site);
  await client.apply('db', [writer.transaction(cell('t', [0], 'c', 0))]);
  await until(() => factsInLog(objects, 'db').length === 1, 'the upload');
  renameSync(path.join(objects, 'tmp'), path.join(objects, 'away'));
  for (let i = 1; i <= 20; i++) await client.apply(`db-${i % 3}`, [writer.transaction(cell('t', [i], 'c', i))]);
  await said(server, 'log.waits');
  assert.ok(await metric(server, 'sync_log_failures_total') > 0);
  await until(async () => !(await isReady(server)), 'the server to be not ready');
  assert.ok(await metric(server, 'sync_log_backlog_bytes') > 0);
  assert.equal(factsInLog(objects, 'db-1').length, 0);
  renameSync(path.join(objects, 'away'), path.join(objects, 'tmp'));
  await until(() => [0, 1, 2].flatMap((i) => factsInLog(objects, `db-${i}`)).length === 20, 'all to be uploaded');
  await said(server, 'log.goes_on');
  await until(() => isReady(server), 'the server to be ready');
});

test('in object mode nothing is acknowledged while the object store is away, and nothing is lost', async (t) => {
  const objects = path.join(temporaryDirectory(), 'objects');
  const server = await startServer(t, { settings: settings(objects, { 'storage.durability': 'object', 'object.ackTimeoutMs': 300 }) });
  const writer = new Writer(site(1));
  const body = (sets) => JSON.stringify({ changes: sets });
  const post = (sets) => request(server.base, { method: 'POST', path: '/db/changes', headers: { 'X-Site-Id': writer.site, 'Content-Type': 'application/json' }, body: body(sets) });
  const sets = [writer.transaction(cell('t', [1], 'c', 1))];
  renameSync(path.join(objects, 'tmp'), path.join(objects, 'away'));
  const first = await post(sets);
  assert.equal(first.status, 503);
  assert.ok(Number(first.headers['retry-after']) > 0);
  assert.match(first.text, /the object store has not taken it yet/);
  // The same again applies nothing, and is promised no more than the first time.
  assert.equal((await post(sets)).status, 503);
  assert.ok(await metric(server, 'sync_object_ack_timeouts_total') >= 2);
  renameSync(path.join(objects, 'away'), path.join(objects, 'tmp'));
  const again = await until(async () => {
    const answer = await post(sets);
    return answer.status === 200 ? answer : undefined;
  }, 'an acknowledgement');
  assert.equal(JSON.parse(again.text).data.applied, 0);
  assert.deepEqual(factsInLog(objects, 'db').map(({ pk }) => pk), [[1]]);
});

test('a second server at the same log ends the first one\'s uploads, and is named', async (t) => {
  const objects = path.join(temporaryDirectory(), 'objects');
  const first = await startServer(t, { settings: settings(objects) });
  const writer = new Writer(site(1));
  await new HttpClient(first, writer.site).apply('db', [writer.transaction(cell('t', [1], 'c', 1))]);
  await until(() => factsInLog(objects, 'db').length === 1, 'the upload');
  const second = await startServer(t, { settings: settings(objects) });
  await new HttpClient(first, writer.site).apply('db', [writer.transaction(cell('t', [2], 'c', 2))]);
  const line = await said(first, 'log.lost');
  const owner = readLog(objects).objects.at(-1);
  assert.ok(line.includes(`writer=${owner.writer}`) && line.includes(`host=${owner.host}`), line);
  assert.equal(await isReady(first), false);
  assert.equal(await metric(first, 'sync_log_stopped'), 1);
  assert.ok(await isReady(second));
  assert.deepEqual(factsInLog(objects, 'db').map(({ pk }) => pk), [[1]]);
  await first.stop();
  const again = new Server({ settings: first.settings, dataDir: first.dataDir });
  await assert.rejects(again.start(), /another server has taken this log over.*out of date/s);
});

test('an object store that cannot be used ends the start, or is tried again where it is optional', async (t) => {
  const directory = temporaryDirectory();
  const objects = path.join(directory, 'not', 'there');
  const refused = new Server({ settings: settings(objects) });
  await assert.rejects(refused.start(), /open the object store: make the object directory/);
  const server = await startServer(t, { settings: settings(objects, { 'object.optional': true }) });
  await said(server, 'object.unusable');
  const writer = new Writer(site(1));
  // Nobody can know whether the object store has a database of that name, so it is not begun anew.
  const client = new HttpClient(server, writer.site);
  const batch = [writer.transaction(cell('t', [1], 'c', 1))];
  const early = await client.post('db', batch);
  assert.equal(early.status, 503);
  assert.equal(early.json.error.code, 'RESTORING');
  mkdirSync(path.join(directory, 'not'));
  await said(server, 'log.open');
  await client.apply('db', batch);
  await until(() => factsInLog(objects, 'db').length === 1, 'the upload');
});
