// The shared log does not grow for ever: small objects become segments, what snapshots cover goes, and whatever
// happens meanwhile another machine finds everything.
import test from 'node:test';
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { cell, factsOf, Writer } from './lib/facts.mjs';
import { scripted } from './lib/hooks.mjs';
import { HttpClient, request } from './lib/http.mjs';
import { site } from './lib/ids.mjs';
import { batch } from './lib/predecessor.mjs';
import { runBinary, Server, temporaryDirectory } from './lib/server.mjs';
import { factsInLog, readLog } from './lib/shared-log.mjs';
import { until } from './lib/wait.mjs';

const PATIENT_MS = 30_000;

class Machine extends Server {
  constructor(t, objects, more) {
    super({
      settings: {
        'object.dir': objects,
        'object.logTickMs': 10,
        'object.segmentObjects': 4,
        'object.segmentBytes': 1 << 20,
        'object.logGraceMs': 0,
        'object.logDeletesPerS': 1000,
        ...more,
      },
    });
    t.after(() => this.dispose());
  }

  async crash() {
    await this.kill();
    this.exited = undefined; // dispose() has no clean end to expect
    rmSync(this.dataDir, { recursive: true, force: true });
  }
}

async function metric(server, name) {
  const { text } = await request(server.base, { path: '/metrics' });
  return Number(text.split('\n').find((line) => line.startsWith(`${name} `))?.split(' ')[1] ?? NaN);
}

const reaches = (server, name, count) =>
  until(async () => (await metric(server, name)) >= count, () => `${name} to reach ${count}:\n${server.logText()}`);

async function rows(server, db) {
  const { sets } = await new HttpClient(server, site(99)).readAll(db);
  return factsOf(sets).map(({ pk }) => JSON.stringify(pk)).sort();
}

// Batches, each in an object of its own.
async function write(server, writer, db, keys) {
  const client = new HttpClient(server, writer.site);
  for (const key of keys) {
    const objects = await metric(server, 'sync_log_objects_total');
    await client.apply(db, [writer.transaction(cell('t', [key], 'c', 'x'.repeat(300)))]);
    await reaches(server, 'sync_log_objects_total', objects + 1);
  }
}

test('objects become segments, and go when snapshots cover them', async (t) => {
  const objects = path.join(temporaryDirectory(), 'objects');
  const settings = { 'object.snapshotIntervalMs': 1000, 'object.snapshotsRetained': 1, 'object.logCleanMs': 1000 };
  const one = new Machine(t, objects, settings);
  await one.start();
  const keys = Array.from({ length: 17 }, (_, i) => i);
  await write(one, new Writer(site(1)), 'app', keys);
  await reaches(one, 'sync_log_segments_total', 1);
  await reaches(one, 'sync_snapshots_total', 1);
  await until(() => {
    const { segments } = readLog(objects);
    return segments.length > 0 && segments.every(({ sections }) => sections.length === 0);
  }, () => `segments without what is covered: ${JSON.stringify(readLog(objects).segments)}\n${one.logText()}`);
  await until(() => readLog(objects).objects.length < 8, () => `objects to go: ${readLog(objects).objects.length}`);
  assert.ok(await metric(one, 'sync_log_objects_deleted_total') >= 16);
  assert.ok(one.log.some((line) => line.includes('log.tidied')));
  await one.stop();
  const two = new Machine(t, objects, settings);
  await two.start();
  assert.deepEqual(await rows(two, 'app'), keys.map((key) => `[${key}]`).sort());
  await write(two, new Writer(site(2)), 'app', ['more']);
  await two.stop();
});

// Where the snapshots of a database are, also below a path that a hook gives.
function snapshotFiles(objects) {
  const top = path.join(objects, 'objects', 'snapshots');
  if (!existsSync(top)) return [];
  return readdirSync(top, { recursive: true }).filter((name) => name.endsWith('.ndjson.gz=')).map((name) => path.join(top, name));
}

for (const script of [undefined, 'under=tenants/7']) {
  test(`somebody deletes a snapshot${script ? ' that a hook placed' : ''}: the log keeps what it covered, another is taken`, async (t) => {
    const objects = path.join(temporaryDirectory(), 'objects');
    const settings = {
      'object.snapshotIntervalMs': 1000,
      'object.snapshotsRetained': 1,
      hooks: script === undefined ? [] : [scripted(script)],
    };
    const one = new Machine(t, objects, settings);
    await one.start();
    const taken = () => one.log.filter((line) => /snapshot\.taken.*db=app facts=2 /.test(line)).length;
    await write(one, new Writer(site(1)), 'app', ['a', 'b']); // after the mark of the start, numbers 2 and 3
    await until(() => taken() === 1, () => `a snapshot of both:\n${one.logText()}`, PATIENT_MS);
    const files = snapshotFiles(objects);
    assert.equal(files.length, 1, files.join(' '));
    assert.equal(files[0].includes('/tenants/7/'), script !== undefined, files[0]);
    rmSync(files[0]);
    await write(one, new Writer(site(2)), 'other', ['c']); // four: they are merged, without what snapshots cover
    await reaches(one, 'sync_log_segments_total', 1);
    await until(() => one.log.some((line) => /snapshot\.missing.*db=app .*not there/.test(line)),
      () => `a loud line:\n${one.logText()}`, PATIENT_MS);
    await until(() => taken() >= 2, () => `another snapshot:\n${one.logText()}`, PATIENT_MS);
    assert.ok(await metric(one, 'sync_snapshots_missing_total') >= 1);
    assert.ok(readLog(objects).segments.length >= 1);
    assert.deepEqual(factsInLog(objects, 'app').map(({ pk }) => pk), [['a'], ['b']], 'nothing has gone');
    // Also this one is lost, with the machine: the log alone has it all.
    snapshotFiles(objects).forEach((file) => rmSync(file));
    await one.crash();
    const two = new Machine(t, objects, settings);
    await two.start();
    assert.deepEqual(await rows(two, 'app'), ['["a"]', '["b"]']);
    await two.stop();
  });
}

test('kill -9 while segments are made loses nothing', async (t) => {
  const objects = path.join(temporaryDirectory(), 'objects');
  const acknowledged = [];
  for (let round = 0; round < 3; round++) {
    const machine = new Machine(t, objects, { 'storage.durability': 'object', 'object.segmentObjects': 2 });
    await machine.start();
    const client = new HttpClient(machine, site(10 + round));
    const writer = new Writer(client.site);
    for (let i = 0; i < 8; i++) {
      const key = `${round}-${i}`;
      await client.apply('app', [writer.transaction(cell('t', [key], 'c', 'x'))]);
      acknowledged.push(`["${key}"]`);
    }
    await reaches(machine, 'sync_log_segments_total', 1);
    await machine.crash();
  }
  const last = new Machine(t, objects);
  await last.start();
  assert.deepEqual(await rows(last, 'app'), acknowledged.sort());
  assert.ok(factsInLog(objects, 'app').length >= acknowledged.length);
  await last.stop();
});

// Requests to the object store so far.
async function requests(server) {
  const { text } = await request(server.base, { path: '/metrics' });
  return text.split('\n').filter((line) => line.startsWith('sync_object_requests_total'))
    .reduce((sum, line) => sum + Number(line.split(' ')[1]), 0);
}

test('a database that nobody has seen costs one request', async (t) => {
  const objects = path.join(temporaryDirectory(), 'objects');
  const one = new Machine(t, objects, { 'storage.durability': 'object' });
  await one.start();
  await new HttpClient(one, site(1)).apply('app', [new Writer(site(1)).transaction(cell('t', [1], 'c', 1))]);
  await one.crash();
  const two = new Machine(t, objects, { 'object.segmentObjects': 0, 'object.logTickMs': 60_000 });
  await two.start();
  // Once the log has been read; until then it is looked through.
  let asked = 0;
  await until(async () => {
    const before = await requests(two);
    assert.deepEqual(await rows(two, `new-${(asked += 1)}`), []);
    return (await requests(two)) - before === 1;
  }, () => `one request, after ${asked} databases`);
  assert.deepEqual(await rows(two, 'app'), ['[1]']);
  await two.stop();
});

// An object as the directory keeps it: bytes, and a trailer behind them.
function putObject(objects, key, bytes) {
  const trailer = Buffer.alloc(32);
  trailer.write('SYNCOBJ1', 'latin1');
  trailer.writeBigUInt64BE(BigInt(bytes.length), 8);
  const parts = key.split('/');
  const file = path.join(objects, 'objects', ...parts.slice(0, -1), `${parts.at(-1)}=`);
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(file, Buffer.concat([bytes, trailer]));
}

test('what the predecessor left is imported, and what is damaged is named', async (t) => {
  const objects = path.join(temporaryDirectory(), 'objects');
  const writer = new Writer(site(1));
  const one = new Machine(t, objects);
  await one.start();
  await one.stop(); // there is a data directory, and an object store
  for (const key of [1, 2]) {
    const file = batch('org:app', `b${key}`, [writer.transaction(cell('t', [key], 'c', key))]);
    putObject(objects, `org/app/batches/${key}_b${key}.json`, Buffer.from(file));
  }
  const flags = ['--data-dir', one.dataDir, '--object-dir', objects];
  const good = await runBinary(['object', 'import', 'org:app', '--predecessor', ...flags]);
  assert.equal(good.code, 0, JSON.stringify(good));
  assert.match(good.stdout, /org:app {2}2 batches, 0 snapshots, 2 facts/);
  putObject(objects, 'org/app/batches/3_b3.json', Buffer.from('{"changes":['));
  const bad = await runBinary(['object', 'import', 'org:app', '--predecessor', ...flags]);
  assert.notEqual(bad.code, 0);
  assert.match(bad.stderr, /org\/app\/batches\/3_b3\.json: .*left out/);
  assert.match(bad.stderr, /1 objects were left out/);
  const unknown = await runBinary(['object', 'import', 'nobody', '--predecessor', ...flags]);
  assert.match(unknown.stderr, /no batches and no snapshots of database nobody/);
  await one.start();
  assert.deepEqual(await rows(one, 'org:app'), ['[1]', '[2]']);
  await one.stop();
  assert.deepEqual(factsInLog(objects, 'org:app').map(({ pk }) => pk), [[1], [2]], 'it is uploaded like any other');
});
