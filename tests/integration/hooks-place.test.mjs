// A hook says where a database lies in the object store: its snapshots go there and are found there again.
import assert from 'node:assert/strict';
import { existsSync, readdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { cell, factsOf, Writer } from './lib/facts.mjs';
import { metric, scripted } from './lib/hooks.mjs';
import { HttpClient } from './lib/http.mjs';
import { site } from './lib/ids.mjs';
import { runBinary, startServer, temporaryDirectory } from './lib/server.mjs';
import { until } from './lib/wait.mjs';

const start = (t, objects, script) =>
  startServer(t, {
    settings: {
      'object.dir': objects,
      'object.snapshotIntervalMs': 1000,
      'object.logTickMs': 10,
      hooks: script === undefined ? [] : [scripted(script)],
    },
  });

const snapshots = (server, count) =>
  until(async () => (await metric(server, 'sync_snapshots_total')) >= count, () => `${count} snapshots:\n${server.logText()}`, 30_000);

const logged = (server, line) => until(() => line.test(server.logText()), () => `${line}:\n${server.logText()}`, 30_000);

const folder = (objects, ...parts) => path.join(objects, 'objects/snapshots', ...parts);
const stored = (objects, ...parts) =>
  existsSync(folder(objects, ...parts)) ? readdirSync(folder(objects, ...parts)).filter((name) => name.includes('.ndjson.gz')) : [];

async function lose(server) {
  await server.stop();
  rmSync(server.dataDir, { recursive: true, force: true });
}

async function fill(server, db, count) {
  const client = new HttpClient(server, site(1));
  const writer = new Writer(client.site);
  for (let i = 0; i < count; i++) await client.apply(db, writer.transaction(cell('t', [i], 'a', i)));
}

async function rows(server, db) {
  const { sets } = await new HttpClient(server, site(99)).readAll(db);
  return factsOf(sets).length;
}

test('snapshots land under the path of the hook and are found there by another machine', async (t) => {
  const objects = temporaryDirectory();
  const first = await start(t, objects, 'under=tenants/7');
  await fill(first, 'shop', 12);
  await snapshots(first, 1);
  assert.ok(stored(objects, 'tenants', '7', 'shop', 'shop').length > 0);
  assert.deepEqual(stored(objects, 'shop'), [], 'and not in the usual place');
  await lose(first);

  const second = await start(t, objects, 'under=tenants/7');
  assert.equal(await rows(second, 'shop'), 12);
  await logged(second, /restore\.done.*db=shop.*snapshot_facts=[1-9]/);
  await second.stop();

  const flags = ['--object-dir', objects, '--hook', `${scripted('').path}:under=tenants/7`];
  const listed = await runBinary(['object', 'list', ...flags]);
  assert.match(listed.stdout, /^shop /);
  const verified = await runBinary(['object', 'verify', '--all', ...flags]);
  assert.equal(verified.code, 0, verified.stderr);
  assert.match(verified.stdout, /^shop {2}12 cells/);
});

test('what lay in the usual place before there was a hook is found there', async (t) => {
  const objects = temporaryDirectory();
  const first = await start(t, objects);
  await fill(first, 'shop', 5);
  await snapshots(first, 1);
  await lose(first);
  assert.ok(stored(objects, 'shop').length > 0);

  const second = await start(t, objects, 'under=later');
  assert.equal(await rows(second, 'shop'), 5);
  await logged(second, /restore\.done.*db=shop.*snapshot_facts=[1-9]/);
  await fill(second, 'shop', 6);
  await snapshots(second, 1);
  assert.ok(stored(objects, 'later', 'shop', 'shop').length > 0, 'the next one goes where the hook says');
});

test('a hook that has no place for a database keeps it from being restored and stored', async (t) => {
  const objects = temporaryDirectory();
  const server = await start(t, objects, 'path=refuse');
  const client = new HttpClient(server, site(1));
  const answer = await client.post('shop', [new Writer(client.site).transaction(cell('t', [1], 'a', 1))]);
  assert.deepEqual([answer.status, answer.json.error.code], [503, 'RESTORING']);
  await logged(server, /restore\.failed.*db=shop.*storage_path: no path/);
  assert.ok(!existsSync(folder(objects)), 'nothing of it is there');
});

test('a snapshot waits until the hook has a place for it', async (t) => {
  const objects = temporaryDirectory();
  const first = await start(t, objects);
  await fill(first, 'shop', 3);
  await first.stop();
  rmSync(folder(objects), { recursive: true, force: true });
  first.settings = { ...first.settings, hooks: [scripted('path=fail')] };
  await first.start();
  await fill(first, 'shop', 4); // it is on this disk, so nobody asks where it lies
  await logged(first, /snapshot\.failed.*db=shop.*storage_path/);
  assert.deepEqual(stored(objects, 'shop'), []);
});
