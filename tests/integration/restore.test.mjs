// A machine is lost: the data directory goes, the server starts elsewhere with the same object store, and clients
// find their databases.
import test from 'node:test';
import assert from 'node:assert/strict';
import { rmSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { cell, factsOf, migration, remove, Writer } from './lib/facts.mjs';
import { HttpClient } from './lib/http.mjs';
import { site } from './lib/ids.mjs';
import { runBinary, Server, temporaryDirectory } from './lib/server.mjs';
import { Session } from './lib/session.mjs';
import { StockClient } from './lib/stock-client.mjs';
import { until, within } from './lib/wait.mjs';

const QUIET_MS = 1000;

function settings(objects, more = {}) {
  return {
    'object.dir': objects,
    'object.snapshotIntervalMs': QUIET_MS,
    'object.logTickMs': 10,
    ...more,
  };
}

class Machine extends Server {
  constructor(t, objects, more) {
    super({ settings: settings(objects, more) });
    t.after(() => this.dispose());
  }

  // As a machine is lost: no clean end, and nothing is left of it.
  async crash() {
    await this.kill();
    this.exited = undefined; // dispose() has no clean end to expect
    this.lose();
  }

  lose() {
    rmSync(this.dataDir, { recursive: true, force: true });
  }
}

async function metric(server, name) {
  const text = (await new HttpClient(server, site(1)).get('/metrics')).text;
  const match = new RegExp(`^${name} (\\S+)$`, 'm').exec(text);
  return Number(match?.[1] ?? NaN);
}

const taken = (server, count) =>
  until(async () => (await metric(server, 'sync_snapshots_total')) >= count, () => `${count} snapshots:\n${server.logText()}`, 30_000);

function snapshotFiles(objects, db) {
  const directory = path.join(objects, 'objects/snapshots', db);
  return readdirSync(directory).sort().map((name) => path.join(directory, name));
}

// A run of bytes: a single one may say the same in other words, where a match finds another copy of the same text.
function damage(file) {
  const bytes = readFileSync(file);
  const middle = bytes.length >> 1;
  for (let i = middle; i < middle + 16; i++) bytes[i] ^= 0xff;
  writeFileSync(file, bytes);
}

// Everything that another site is given, in a form that can be compared.
async function content(server, db, reader = site(99)) {
  const { sets } = await new HttpClient(server, reader).readAll(db);
  return factsOf(sets).map((fact) => JSON.stringify(fact)).sort();
}

async function fill(server, db, writer, count = 30) {
  const client = new HttpClient(server, writer.site);
  await client.apply(db, writer.transaction(migration('create_table', 't')));
  for (let i = 0; i < count; i++) {
    await client.apply(db, writer.transaction(cell('t', [i], 'a', i), cell('t', [i], 'b', 'x'.repeat(i * 200))));
  }
  await client.apply(db, writer.transaction(cell('t', [0], 'a', 'again'), remove('t', [1], { priorRow: [1, 'x'] })));
}

test('the data directory is deleted and another machine has everything', async (t) => {
  const objects = temporaryDirectory();
  const first = await new Machine(t, objects).start();
  const writer = new Writer(site(1));
  await fill(first, 'org:app', writer);
  const wanted = await content(first, 'org:app');
  assert.equal(wanted.length, 60);
  await taken(first, 1);
  await first.stop();
  first.lose();

  const second = await new Machine(t, objects).start();
  assert.deepEqual(await content(second, 'org:app'), wanted);
  // It goes on from there.
  await new HttpClient(second, writer.site).apply('org:app', writer.transaction(cell('t', [0], 'a', 'later')));
  assert.equal((await content(second, 'org:app')).length, 60);
});

test('a damaged snapshot is set aside, loudly, and the one before it used', async (t) => {
  const objects = temporaryDirectory();
  const first = await new Machine(t, objects).start();
  const writer = new Writer(site(1));
  await fill(first, 'app', writer);
  await taken(first, 1);
  const wanted = await content(first, 'app');
  await new HttpClient(first, writer.site).apply('app', writer.transaction(cell('t', [7], 'a', 'in the newest')));
  await taken(first, 2);
  await first.stop();
  const newest = snapshotFiles(objects, 'app').at(-1);
  damage(newest);

  const second = await new Machine(t, objects).start();
  const found = await content(second, 'app');
  assert.ok(found.length >= wanted.length - 1);
  assert.match(second.logText(), /snapshot\.damaged.*db=app/);
  assert.equal(await metric(second, 'sync_snapshots_damaged_total'), 1);
});

// However little is written: a snapshot has all of the database, so a large one would be read and sent without end.
test('a database rests for nineteen times as long as its snapshot took', async (t) => {
  const machine = await new Machine(t, temporaryDirectory(), { 'object.snapshotChanges': 1 }).start();
  const writer = new Writer(site(1));
  const client = new HttpClient(machine, writer.site);
  const ends = () => [...machine.logText().matchAll(/^(\S+) .*snapshot\.taken db=app .* ms=(\d+)/gm)]
    .map(([, at, ms]) => ({ at: Date.parse(at), ms: Number(ms) }));
  for (let n = 0; n < 20; n++) {
    await client.apply('app', writer.transaction(Array.from({ length: 100 }, (_, i) => cell('t', [n, i], 'v', 'x'.repeat(1000)))));
  }
  const filled = ends().length;
  await until(async () => {
    await client.apply('app', writer.transaction(cell('t', [0, 0], 'v', 'again')));
    return ends().length >= filled + 3;
  }, () => `three more snapshots:\n${machine.logText()}`, 60_000);
  const seen = ends();
  assert.ok(seen.slice(filled, -1).some(({ ms }) => ms > 0), `they took no time: ${JSON.stringify(seen)}`);
  for (const [i, { at }] of seen.entries()) {
    if (i > 0) assert.ok(at - seen[i - 1].at >= 19 * seen[i - 1].ms - 10, JSON.stringify(seen)); // in whole milliseconds
  }
});

test('a client that has what was lost brings it back', async (t) => {
  const objects = temporaryDirectory();
  const first = await new Machine(t, objects, { 'object.logTickMs': 3_600_000 }).start();
  const client = new StockClient(first, { db: 'app', site: site(5) });
  await client.connect();
  client.edit(cell('t', [1], 'a', 'early'));
  await taken(first, 1);
  const before = client.serverSite;
  // Acknowledged, and gone with the machine before it was in any snapshot, or in the log.
  const late = client.edit(cell('t', [2], 'a', 'late'));
  await client.until('quiet', () => client.settled && !client.hasUnsent());
  client.wanted = false;
  await first.crash();

  const second = await new Machine(t, objects).start();
  client.server = second;
  const asked = client.until('message', (message) => message.type === 'request_changes');
  await client.connect();
  assert.notEqual(client.serverSite, before, 'a new server site id');
  assert.equal((await asked).siteId, client.serverSite);
  const again = client.until('message', (m) => m.type === 'request_changes' && m.sinceHLC === late.hlc);
  await again;
  const all = await content(second, 'app');
  assert.ok(all.some((fact) => fact.includes('"late"')), all.join('\n'));
  await client.disconnect();
});

test('what was acknowledged in object mode is there after kill -9, under a new server site id', async (t) => {
  const objects = temporaryDirectory();
  const more = { 'storage.durability': 'object', 'object.snapshotIntervalMs': 3_600_000 };
  const writer = new Writer(site(1));
  let server = await new Machine(t, objects, more).start();
  let serverSite = (await Session.open(server, { db: 'app', site: site(3) })).ack.serverSiteId;
  for (let round = 0; round < 3; round++) {
    await fill(server, 'app', writer, 10 + round);
    const wanted = await content(server, 'app');
    await server.crash();
    server = await new Machine(t, objects, more).start();
    assert.deepEqual(await content(server, 'app'), wanted);
    const session = await Session.open(server, { db: 'app', site: site(3) });
    // A reader may have seen stamps that never reached the log: they must not be given out again under that id.
    assert.notEqual(session.ack.serverSiteId, serverSite);
    serverSite = session.ack.serverSiteId;
    session.socket.terminate();
  }
});

test('after a clean stop the log is complete, and the server site id stays', async (t) => {
  const objects = temporaryDirectory();
  const first = await new Machine(t, objects).start();
  await fill(first, 'app', new Writer(site(1)));
  await taken(first, 1);
  await fill(first, 'app', new Writer(site(2)), 3);
  const wanted = await content(first, 'app');
  const session = await Session.open(first, { db: 'app', site: site(3) });
  const { serverSiteId } = session.ack;
  session.socket.terminate();
  await first.stop();
  first.lose();
  const second = await new Machine(t, objects).start();
  const again = await Session.open(second, { db: 'app', site: site(3) });
  assert.equal(again.ack.serverSiteId, serverSiteId);
  again.socket.terminate();
  assert.deepEqual(await content(second, 'app'), wanted);
});

test('the object commands list, verify, export, import and go back in time', async (t) => {
  const objects = temporaryDirectory();
  const server = await new Machine(t, objects).start();
  const writer = new Writer(site(1));
  await fill(server, 'app', writer, 10);
  await taken(server, 1);
  const then = new Date(Math.ceil((Date.now() + 1) / 1000) * 1000).toISOString().replace('.000', '');
  const wanted = await content(server, 'app');
  await until(() => Date.now() > Date.parse(then) + 1000, 'the clock to go on');
  await new HttpClient(server, writer.site).apply('app', writer.transaction(cell('t', [99], 'a', 'too late')));
  await server.stop();
  const flags = ['--object-dir', objects, '--data-dir', server.dataDir];

  const listed = await runBinary(['object', 'list', ...flags]);
  assert.equal(listed.code, 0, listed.stderr);
  assert.match(listed.stdout, /^app {2}\d{4}-.*bytes$/m);
  const verified = await runBinary(['object', 'verify', '--all', '--compare', server.dataDir, ...flags]);
  assert.equal(verified.code, 0, verified.stderr);
  assert.match(verified.stdout, /^app {2}19 cells, 1 deletes, 1 migrations {2}[0-9a-f]{64} {2}complete$/m);
  const back = await runBinary(['object', 'restore', 'app', '--until', then, '--as', 'app-then', ...flags]);
  assert.equal(back.code, 0, back.stderr);
  const file = path.join(server.directory, 'app.ndjson.gz');
  const exported = await runBinary(['object', 'export', 'app', file, ...flags]);
  assert.equal(exported.code, 0, exported.stderr);
  const again = await runBinary(['object', 'export', 'app', file, ...flags]);
  assert.equal(again.code, 1, 'a file that is there is not overwritten');
  const imported = await runBinary(['object', 'import', 'app-copy', file, ...flags]);
  assert.equal(imported.code, 0, imported.stderr);
  const twice = await runBinary(['object', 'import', 'app-copy', file, ...flags]);
  assert.equal(twice.code, 1);
  const unknown = await runBinary(['object', 'verify', 'nowhere', ...flags]);
  assert.equal(unknown.code, 1);
  assert.match(unknown.stderr, /nowhere: the object store has nothing of it/);
  for (const wrong of [[], ['nonsense'], ['verify'], ['export', 'app']]) {
    assert.equal((await runBinary(['object', ...wrong])).code, 2);
  }

  await server.start();
  assert.deepEqual(await content(server, 'app-then'), wanted);
  assert.deepEqual(await content(server, 'app-copy'), await content(server, 'app'));
});

test('a database that the object store does not know is new, and one that cannot be looked for is not', async (t) => {
  const objects = path.join(temporaryDirectory(), 'later');
  const server = await new Machine(t, objects).start();
  assert.deepEqual(await content(server, 'fresh'), []);
  await new HttpClient(server, site(1)).apply('fresh', new Writer(site(1)).transaction(cell('t', [1], 'a', 1)));

  const unreachable = new Server({
    settings: { 's3.bucket': 'none', 's3.endpoint': 'http://127.0.0.1:9', 'object.optional': true },
    env: { S3_ACCESS_KEY_ID: 'a', S3_SECRET_ACCESS_KEY: 'b' },
  });
  t.after(() => unreachable.dispose());
  await unreachable.start();
  const answer = await new HttpClient(unreachable, site(1)).get('/app/changes');
  assert.equal(answer.status, 503);
  assert.equal(answer.json.error.code, 'RESTORING');
  assert.ok(Number(answer.headers['retry-after']) > 0);
  const session = await Session.open(unreachable);
  session.send({ type: 'handshake', databaseId: 'app', siteId: site(1), protocolVersion: 1 });
  const error = await session.next('error');
  assert.equal(error.fatal, false);
  session.socket.terminate();
});

test('many databases come back while others go on', async (t) => {
  const objects = temporaryDirectory();
  const first = await new Machine(t, objects).start();
  const names = Array.from({ length: 20 }, (_, i) => `db${i}`);
  const wanted = new Map();
  for (const db of names) {
    await fill(first, db, new Writer(site(1)), 5);
    wanted.set(db, await content(first, db));
  }
  await taken(first, names.length);
  await first.stop();
  const second = await new Machine(t, objects).start();
  const writer = new Writer(site(2));
  const own = Promise.all(Array.from({ length: 20 }, (_, i) =>
    new HttpClient(second, writer.site).apply('own', writer.transaction(cell('t', [i], 'a', i)))));
  const found = await Promise.all(names.flatMap((db) => [content(second, db), content(second, db)]));
  await own;
  names.forEach((db, i) => {
    assert.deepEqual(found[2 * i], wanted.get(db));
    assert.deepEqual(found[2 * i + 1], wanted.get(db));
  });
  assert.equal(await metric(second, 'sync_restores_total'), names.length);
});
