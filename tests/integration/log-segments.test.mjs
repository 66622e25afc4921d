// The shared log does not grow for ever: small objects become segments, what snapshots cover goes, and whatever
// happens meanwhile another machine finds everything.
import test from 'node:test';
import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import path from 'node:path';
import { cell, factsOf, Writer } from './lib/facts.mjs';
import { HttpClient, request } from './lib/http.mjs';
import { site } from './lib/ids.mjs';
import { Server, temporaryDirectory } from './lib/server.mjs';
import { factsInLog, readLog } from './lib/shared-log.mjs';
import { until } from './lib/wait.mjs';

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
