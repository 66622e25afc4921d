// Losing the machine, with a real S3 server, and with a fault proxy in front of it: what was acknowledged in object
// mode is restored on an empty machine; in fsync mode at most the last tick is missing and comes back with the
// client that has it; an outage of the store delays uploads and loses none; and what is wrong with a bucket is told.
// And what the predecessor left in a bucket is imported.
//
// SYNC_TEST_LOSSES is how many machines are lost, SYNC_TEST_OUTAGE_MS how long the store is away (3600000 for an
// hour), SYNC_TEST_SEED repeats a run.
import test, { after } from 'node:test';
import assert from 'node:assert/strict';
import { rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { withPreload } from './lib/bad-disk.mjs';
import { cell, factsOf, migration, remove, Writer } from './lib/facts.mjs';
import { FaultProxy } from './lib/fault-proxy.mjs';
import { HttpClient, request } from './lib/http.mjs';
import { site } from './lib/ids.mjs';
import { Ledger } from './lib/ledger.mjs';
import { batch, snapshot, variables } from './lib/predecessor.mjs';
import { Random, runSeed } from './lib/random.mjs';
import { startS3 } from './lib/s3.mjs';
import { runBinary, Server, temporaryDirectory } from './lib/server.mjs';
import { Session } from './lib/session.mjs';
import { StockClient } from './lib/stock-client.mjs';
import { until } from './lib/wait.mjs';

const LOSSES = Number(process.env.SYNC_TEST_LOSSES ?? 3);
const OUTAGE_MS = Number(process.env.SYNC_TEST_OUTAGE_MS ?? 1500);
const OUTAGE_WRITES_MAX = 200_000; // spread over it: what is compared in the end fits into memory
const PATIENT_MS = 60_000;
const DATABASES = 3;
const WRITERS = 6;

const s3 = await startS3({ after });

// One machine after the other, all with the same bucket and key prefix.
class Machines {
  constructor(t, settings, endpoint) {
    this.t = t;
    this.settings = { ...s3.settings(endpoint), ...s3.prefix(), 'object.logTickMs': 50, ...settings };
  }

  async next(more = {}) {
    this.server = new Server({ settings: { ...this.settings, ...more } });
    const { server } = this;
    this.t.after(() => server.dispose());
    return server.start();
  }

  async lose() {
    const { server } = this;
    await server.kill();
    server.exited = undefined; // there is no clean end to expect
    rmSync(server.dataDir, { recursive: true, force: true });
  }
}

async function metric(server, name) {
  const { text } = await request(server.base, { path: '/metrics' });
  return Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(text)?.[1] ?? NaN);
}

const uploaded = (server) => until(async () => (await metric(server, 'sync_log_backlog_databases')) === 0
  && (await metric(server, 'sync_log_backlog_bytes')) === 0, () => `the uploads:\n${server.logText()}`, PATIENT_MS);

const readAll = async (server, db) => (await until(async () => {
  const answer = await new HttpClient(server, site(99)).get(`/${db}/changes`);
  return answer.status !== 503; // it is being restored
}, `${db} to be restored`, PATIENT_MS), (await new HttpClient(server, site(99)).readAll(db)).sets);

// Writes to the machine that is there, until told to stop.
async function write(run, number) {
  const writer = new Writer(site(100 + number));
  for (let count = 0; !run.over; count++) {
    const machine = run.machine; // promised: the writer waits for it
    const server = await machine;
    const db = `db-${(number + count) % DATABASES}`;
    const sets = [writer.transaction(cell('t', [number, count], 'v', 'x'.repeat(run.random.below(500))))];
    const entry = run.ledger.begin(db, sets);
    try {
      const answer = await new HttpClient(server, writer.site).post(db, sets);
      if (answer.status === 503) continue; // not acknowledged
      assert.equal(answer.status, 200, answer.text);
      run.ledger.acknowledge(entry);
      if ((run.left -= 1) === 0) run.reached();
    } catch (error) {
      if (error.code === 'ERR_ASSERTION' || machine === run.machine) throw error; // not one that was lost
    }
  }
}

const FAULTS = [
  'PUT /log/ answer 500 InternalError', 'PUT /log/ answer 503 SlowDown', 'PUT /log/ answer 409 ConditionalRequestConflict',
  'PUT /log/ lose-answer', 'PUT /log/ drop', 'PUT /log/ cut-request 40', 'PUT /snapshots/ answer 500 InternalError',
  'POST /snapshots/ lose-answer', 'GET * answer 503 SlowDown', 'GET * cut-answer 90', 'HEAD * drop', 'PUT /log/ delay 80',
];

async function addFaults(proxy, random) {
  await proxy.clear();
  for (let i = 0; i < 8; i++) {
    await proxy.rule(`${random.pick(FAULTS)} times=${random.between(1, 2)} after=${random.below(12)}`);
  }
}

test('acknowledged in object mode, every fact outlives the machine, with faults', async (t) => {
  const seed = runSeed();
  t.diagnostic(`SYNC_TEST_SEED=${seed}`);
  const random = new Random(seed);
  const proxy = await FaultProxy.start(t, s3.port);
  const machines = new Machines(t, {
    'storage.durability': 'object', 'object.snapshotIntervalMs': 1000, 'object.ackTimeoutMs': 30_000,
  }, proxy.endpoint);
  const run = { random, ledger: new Ledger(), over: false, machine: machines.next() };
  await run.machine;
  const writers = Array.from({ length: WRITERS }, (_, i) => write(run, i));
  for (let loss = 0; loss < LOSSES; loss++) {
    await addFaults(proxy, random);
    await new Promise((resolve) => {
      run.reached = resolve;
      run.left = random.between(1, 80);
    });
    let started;
    run.machine = new Promise((resolve) => (started = resolve));
    await machines.lose();
    const server = await machines.next();
    for (let i = 0; i < DATABASES; i++) run.ledger.assertKept(`db-${i}`, await readAll(server, `db-${i}`));
    started(server);
  }
  run.over = true;
  await Promise.all(writers);
  await proxy.clear();
  t.diagnostic(`${run.ledger.acknowledgedBatches} batches acknowledged over ${LOSSES} machines`);
  assert.ok(run.ledger.acknowledgedBatches >= LOSSES);
});

test('in fsync mode the last tick is missing, and comes back with the client that has it', async (t) => {
  const machines = new Machines(t, {});
  let server = await machines.next();
  const client = new StockClient(server, { db: 'app', site: site(1) });
  t.after(() => client.disconnect());
  await client.connect();
  const acknowledged = (kept) => client.until('quiet', () => client.settled && !client.hasUnsent(), `${kept} to be acknowledged`);
  let quiet = acknowledged('the first half');
  for (let i = 0; i < 10; i++) client.edit(cell('t', [i], 'a', i));
  await quiet;
  await uploaded(server);
  await client.disconnect();
  // From here on an hour is one tick.
  await server.stop();
  server.settings['object.logTickMs'] = 3_600_000;
  client.server = await server.start();
  await client.connect();
  quiet = acknowledged('the second half');
  for (let i = 10; i < 20; i++) client.edit(cell('t', [i], 'a', i));
  await quiet;
  const before = client.serverSite;
  assert.equal(factsOf(await readAll(server, 'app')).length, 20);
  await client.disconnect();
  await machines.lose();

  server = await machines.next();
  const left = factsOf(await readAll(server, 'app')).map(({ pk }) => pk[0]).sort((a, b) => a - b);
  assert.deepEqual(left, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  client.server = server;
  await client.connect();
  assert.notEqual(client.serverSite, before);
  await until(async () => factsOf(await readAll(server, 'app')).length === 20, 'the second half to come back', PATIENT_MS);
});

test('while the store is away writes go on, and then everything is uploaded', async (t) => {
  const proxy = await FaultProxy.start(t, s3.port);
  const machines = new Machines(t, { 'object.readyBacklogMs': 1 }, proxy.endpoint);
  const server = await machines.next();
  const ledger = new Ledger();
  const writer = new Writer(site(1));
  const client = new HttpClient(server, writer.site);
  let count = 0;
  const apply = async () => {
    const db = `db-${count % DATABASES}`;
    const sets = [writer.transaction(cell('t', [count++], 'v', 'x'.repeat(300)))];
    const entry = ledger.begin(db, sets);
    await client.apply(db, sets);
    ledger.acknowledge(entry);
  };
  for (let i = 0; i < DATABASES; i++) await apply(); // looked for once, they are here
  await uploaded(server);
  await proxy.rule('* * drop');
  const pauseMs = Math.floor(OUTAGE_MS / OUTAGE_WRITES_MAX);
  for (const end = Date.now() + OUTAGE_MS; Date.now() < end;) {
    await apply();
    if (pauseMs > 0) await new Promise((next) => setTimeout(next, pauseMs));
  }
  await until(async () => (await metric(server, 'sync_log_backlog_bytes')) > 0, 'bytes that wait', PATIENT_MS);
  await until(async () => (await metric(server, 'sync_log_backlog_age_seconds')) > 0, 'their age', PATIENT_MS);
  await until(() => server.log.some((line) => line.includes('log.waits')), 'log.waits', PATIENT_MS);
  assert.equal((await request(server.base, { path: '/readyz' })).status, 503);
  await proxy.clear();
  await until(async () => (await request(server.base, { path: '/readyz' })).status === 200, 'readiness', PATIENT_MS);
  await uploaded(server);
  await machines.lose();
  const next = await machines.next();
  for (let i = 0; i < DATABASES; i++) ledger.assertKept(`db-${i}`, await readAll(next, `db-${i}`));
  t.diagnostic(`${ledger.acknowledgedBatches} batches, ${OUTAGE_MS} ms without the store`);
});

test('an idle database leaves for S3 and comes back, with faults on both ways', async (t) => {
  const proxy = await FaultProxy.start(t, s3.port);
  const machines = new Machines(t, { 'diskEviction.enabled': true, 'diskEviction.idleMs': 300 }, proxy.endpoint);
  const server = await machines.next();
  const writer = new Writer(site(1));
  const sets = Array.from({ length: 40 }, (_, i) => writer.transaction(cell('t', [i], 'v', 'x'.repeat(i * 20))));
  const session = await Session.open(server, { db: 'app', site: writer.site });
  await session.apply(sets);
  await proxy.rule('PUT /snapshots/ answer 503 SlowDown times=1');
  await proxy.rule('HEAD /snapshots/ drop times=1');
  await proxy.rule('GET /snapshots/ cut-answer 100 times=2 after=1');
  await session.close();
  await until(async () => (await metric(server, 'sync_evictions_total')) >= 1, () => `it to leave:\n${server.logText()}`, PATIENT_MS);
  assert.equal(factsOf(await readAll(server, 'app')).length, sets.length);
  const again = await Session.open(server, { db: 'app', site: site(3) });
  assert.equal(again.ack.serverSiteId, session.ack.serverSiteId);
  await again.close();
});

async function refused(settings, message, options = {}) {
  const server = new Server({ settings: { ...s3.settings(), ...s3.prefix(), ...settings }, ...options });
  await assert.rejects(server.start(), message);
}

test('what is wrong with keys, bucket and space is told', async (t) => {
  await refused({ 's3.secretAccessKey': 'wrong' }, /SignatureDoesNotMatch; the secret is wrong/);
  await refused({ 's3.accessKeyId': 'NOBODY' }, /InvalidAccessKeyId; the service does not know this key/);
  await refused({ 's3.bucket': 'there-is-none' }, /NoSuchBucket; create the bucket/);
  const proxy = await FaultProxy.start(t, s3.port);
  const machines = new Machines(t, { 'storage.durability': 'object', 'object.ackTimeoutMs': 500 }, proxy.endpoint);
  const server = await machines.next();
  const writer = new Writer(site(1));
  const client = new HttpClient(server, writer.site);
  await client.apply('app', writer.transaction(cell('t', [1], 'a', 1)));
  await proxy.rule('PUT * answer 403 QuotaExceeded');
  const answer = await client.post('app', [writer.transaction(cell('t', [2], 'a', 2))]);
  assert.equal(answer.status, 503, 'not acknowledged');
  await until(() => server.log.some((line) => /log\.waits.*QuotaExceeded.*the bucket or the service is full/.test(line)),
    () => `log.waits:\n${server.logText()}`, PATIENT_MS);
  await proxy.clear();
  await uploaded(server);
});

test('a clock that is off by an hour is made good, and told', async (t) => {
  const file = path.join(temporaryDirectory(), 'offset');
  writeFileSync(file, String(-3_600_000));
  const machines = new Machines(t, { 'storage.durability': 'object' });
  const server = new Server({ settings: machines.settings, env: withPreload('bad_clock', { BAD_CLOCK_FILE: file }) });
  t.after(() => server.dispose());
  await server.start();
  const writer = new Writer(site(1), { tick: () => ({ wall: Date.now() - 3_600_000, counter: 0 }) });
  await new HttpClient(server, writer.site).apply('app', writer.transaction(cell('t', [1], 'a', 1)));
  assert.match(server.logText(), /object\.clock_skew.*skew_ms=3[56]\d{5}/);
});

const show = (facts) => facts.map(({ type, pk, value, hlc }) => JSON.stringify([type, pk, value, hlc])).sort();

// As any other program put them there, under a key prefix, and imported with the predecessor's own variables.
test("the predecessor's batches and snapshots are imported, what is damaged is named, and a client reads the rest", async (t) => {
  const machines = new Machines(t, {});
  const { settings } = machines;
  const put = (key, bytes) => s3.put(settings['s3.keyPrefix'] + key, bytes);
  const writer = new Writer(site(1));
  const db = 'org:team:app'; // lies under org/team/app
  const created = writer.transaction(migration('create_table', 't'));
  const rows = Array.from({ length: 3000 }, (_, i) => writer.transaction(cell('t', [i], 'c', `row ${i} ${'x'.repeat(i % 100)}`)));
  const gone = writer.transaction(remove('t', ['gone']));
  const changed = writer.transaction(cell('t', [0], 'c', 'changed'), cell('t', ['new'], 'c', null));
  const late = writer.transaction(cell('t', [1], 'c', { nested: ['ü', 1] }));
  const good = snapshot(db, 's1', 't', [created, ...rows, gone]);
  await put('org/team/app/snapshots/1700000000500_s1.json', good);
  await put('org/team/app/snapshots/1700000000600_s2.json', good.subarray(0, good.length - 100));
  await put('org/team/app/batches/1700000000100_b1.json', batch(db, 'b1', [created, ...rows.slice(0, 10)])); // in the snapshot, too
  await put('org/team/app/batches/1700000000700_b2.json', batch(db, 'b2', [changed]));
  await put('org/team/app/batches/1700000000800_b3.json', batch(db, 'b3', [late]).slice(0, -20));
  await put('org/team/app/batches/1700000000900_b+4 é.json', batch(db, 'b4', [late]));
  await put('org/team/app/batches/1700000001000_b5.json', batch('org:team', 'b5', [writer.transaction(cell('t', ['theirs'], 'c', 1))]));
  // A neighbour whose name begins alike.
  await put('org/team/app/2/batches/1_b1.json', batch(`${db}:2`, 'b1', [writer.transaction(cell('t', ['neighbour'], 'c', 1))]));

  const server = new Server({ settings });
  t.after(() => server.dispose());
  const importInto = (name) =>
    runBinary(['object', 'import', name, '--predecessor', '--data-dir', server.dataDir], { env: variables(settings) });
  const first = await importInto(db);
  const told = JSON.stringify(first, null, 1);
  assert.equal(first.code, 1, told);
  assert.ok(first.stdout.startsWith(`${db}  3 batches, 1 snapshots, ${rows.length + 5} facts, `), told);
  assert.match(first.stderr, /org\/team\/app\/snapshots\/1700000000600_s2\.json: it is cut; left out/);
  assert.match(first.stderr, /org\/team\/app\/batches\/1700000000800_b3\.json: .*; left out/);
  assert.match(first.stderr, /org\/team\/app\/batches\/1700000001000_b5\.json: it is of database org:team; left out/);
  assert.match(first.stderr, /3 objects were left out/);
  const again = await importInto(db);
  assert.match(again.stdout, /3 batches, 1 snapshots, 0 facts/, 'nothing comes twice');
  const neighbour = await importInto(`${db}:2`);
  assert.deepEqual([neighbour.code, neighbour.stdout.split(',')[0]], [0, `${db}:2  1 batches`]);
  const nobody = await importInto('org');
  assert.match(nobody.stderr, /no batches and no snapshots of database org/);

  const wanted = show(factsOf([created, ...rows.slice(2), gone, changed, late]));
  await server.start();
  const client = new StockClient(server, { db, site: site(7) });
  t.after(() => client.disconnect());
  const complete = client.until('applied', () => client.replica.facts().length === wanted.length, `${wanted.length} facts`);
  await client.connect();
  await complete;
  assert.deepEqual(show(client.replica.facts()), wanted);
  await client.disconnect();
  assert.deepEqual(show(factsOf(await readAll(server, db))), wanted);
  assert.deepEqual(factsOf(await readAll(server, `${db}:2`)).map(({ pk }) => pk), [['neighbour']]);

  // It is in the shared log now, like what clients bring: another machine needs nothing of the predecessor's.
  await server.stop(); // uploads what it has not yet
  rmSync(server.dataDir, { recursive: true, force: true });
  assert.deepEqual(show(factsOf(await readAll(await machines.next(), db))), wanted);
});
