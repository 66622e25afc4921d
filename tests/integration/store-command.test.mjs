// `sync-coordinator store verify|repair`: a server's data directory, damaged, refused, mended, served again.
import test from 'node:test';
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, unlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { cell, factsOf, Writer } from './lib/facts.mjs';
import { HttpClient } from './lib/http.mjs';
import { site } from './lib/ids.mjs';
import { keyOf } from './lib/ledger.mjs';
import { runBinary, startServer } from './lib/server.mjs';
import { Session } from './lib/session.mjs';

const BATCHES = 20;

async function filled(t) {
  const server = await startServer(t, { settings: { 'storage.shards': 1 } });
  const writer = new Writer(site(1));
  const client = new HttpClient(server, writer.site);
  const sets = [];
  for (let n = 0; n < BATCHES; n++) {
    sets.push(writer.transaction(cell('t', [n], 'v', 'x'.repeat(300))));
    await client.apply('db', sets.at(-1));
  }
  return { server, sets };
}

const store = (server, verb) => runBinary(['store', verb, server.dataDir]);

function damageLog(server) {
  const shard = path.join(server.dataDir, 'shard-00');
  const file = path.join(shard, readdirSync(shard).find((name) => name.endsWith('.log')));
  const bytes = readFileSync(file);
  bytes.fill(0xee, bytes.length >> 1, (bytes.length >> 1) + 100);
  unlinkSync(file);
  writeFileSync(file, bytes);
}

test('a damaged store is refused with the way out, mended, and served', async (t) => {
  const { server, sets } = await filled(t);
  const before = await Session.open(server, { db: 'db', site: site(2) });
  await server.kill();
  damageLog(server);

  await assert.rejects(server.start(), (error) => {
    assert.match(error.message, /ended while starting/);
    assert.match(error.message, /store\.damaged.*store repair/);
    assert.match(error.message, /is damaged at byte \d+, and whole records stand behind it/);
    return true;
  });
  const verified = await store(server, 'verify');
  assert.equal(verified.code, 1);
  assert.match(verified.stdout, /shard-00: damaged: .*\.log is damaged at byte \d+/);
  assert.match(verified.stdout, /store repair/);

  const repaired = await store(server, 'repair');
  assert.equal(repaired.code, 0, repaired.stdout + repaired.stderr);
  assert.match(repaired.stdout, /what there was is kept in .*lost-1/);
  assert.equal((await store(server, 'verify')).code, 0);

  await server.start();
  const there = new Set(factsOf((await new HttpClient(server, site(3)).readAll('db')).sets).map(keyOf));
  const missing = sets.filter((set) => !there.has(keyOf(set.changes[0])));
  assert.ok(missing.length >= 1 && missing.length <= 2, `${missing.length} batches are gone, one or two were hit`);

  // The site id is new, so whoever has what is missing sends it again.
  const after = await Session.open(server, { db: 'db', site: site(2) });
  assert.notEqual(after.ack.serverSiteId, before.ack.serverSiteId);
  await new HttpClient(server, site(1)).apply('db', missing);
  assert.equal(factsOf((await new HttpClient(server, site(3)).readAll('db')).sets).length, BATCHES);
});

test('a healthy store verifies; one that is in use, or none, is told', async (t) => {
  const { server } = await filled(t);
  const inUse = await store(server, 'verify');
  assert.equal(inUse.code, 1);
  assert.match(inUse.stderr, /in use by another process/);
  await server.stop();
  const verified = await store(server, 'verify');
  assert.equal(verified.code, 0, verified.stdout);
  assert.match(verified.stdout, /shard-00: 1 databases, 20 cells, 0 tombstones, 0 migrations, 20 log entries, 0 problems/);
  assert.match((await store(server, 'repair')).stdout, /nothing to repair/);

  const none = await runBinary(['store', 'verify', path.join(server.dataDir, 'none')]);
  assert.equal(none.code, 1);
  assert.match(none.stderr, /there is no such directory/);
});

test('wrong use is told from failure, and help helps', async () => {
  for (const args of [['store'], ['store', 'verify'], ['store', 'mend', '/tmp'], ['store', 'verify', 'a', 'b']]) {
    const { code, stderr } = await runBinary(args);
    assert.equal(code, 2, args.join(' '));
    assert.match(stderr, /^Usage: sync-coordinator store verify DIR/);
  }
  assert.equal((await runBinary(['store', '--help'])).code, 0);
  assert.match((await runBinary(['--help'])).stdout, /store +verify or repair a data directory/);
});
