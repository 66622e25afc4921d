// What the coordinator does on stores whose conditional writes do not hold: it never leads, and says why.
import test from 'node:test';
import assert from 'node:assert/strict';
import { Cluster, PATIENT_MS, statusOf } from './lib/cluster.mjs';
import { transactionAt, cell } from './lib/facts.mjs';
import { HttpClient } from './lib/http.mjs';
import { site } from './lib/ids.mjs';
import { SmallS3 } from './lib/small-s3.mjs';
import { until } from './lib/wait.mjs';

const logged = (server, text) => until(() => server.log.some((line) => line.includes(text)),
  () => `"${text}" in the log:\n${server.logText()}`, PATIENT_MS);

async function serves(server) {
  const client = new HttpClient(server, site(1));
  await client.apply('app', transactionAt(site(1), 1_700_000_000_000, 0, [cell('t', [1], 'a', 1)]));
}

test('on an honest one of its kind it leads', async (t) => {
  const s3 = await SmallS3.start(t, 'honest');
  const cluster = new Cluster(t, { store: s3.settings() });
  await cluster.add(2);
  const leader = await cluster.leader();
  await cluster.line('work of the leader', ([kind, , , worker]) => kind === 'lead' && worker === leader.workerId);
  cluster.assertOneLeaderAtATime();
});

test('a store whose lists have more keys than were asked for ends no server', async (t) => {
  const s3 = await SmallS3.start(t, 'overflowing');
  const cluster = new Cluster(t, { store: s3.settings() });
  await cluster.add(1);
  await cluster.leader();
  const [second] = await cluster.add(1); // it asks for one key of those that are there by now
  await logged(second, 'Leader changed: none -> ');
});

test('a store that ignores conditions ends the start, with a message that says so', async (t) => {
  const s3 = await SmallS3.start(t, 'ignored');
  const cluster = new Cluster(t, { store: s3.settings() });
  await assert.rejects(cluster.add(1), /this object store cannot be used: it overwrites objects in spite of If-None-Match/);
  cluster.servers = []; // it has ended
});

test('a server that may start without its store serves on it, but never leads', async (t) => {
  const s3 = await SmallS3.start(t, 'ignored');
  const cluster = new Cluster(t, { store: s3.settings(), settings: { 'object.optional': true } });
  const [server] = await cluster.add(1);
  await logged(server, 'it overwrites objects in spite of If-None-Match');
  await logged(server, 'coordinator.store_silent');
  await serves(server);
  const status = await statusOf(server);
  assert.deepEqual([status.state, status.elections], ['starting', []]);
  assert.deepEqual(cluster.lines(), [], 'no task of a leader ran');
});

test('a store whose conditions do not hold in a race is never led on', async (t) => {
  const s3 = await SmallS3.start(t, 'racing');
  const cluster = new Cluster(t, { store: s3.settings() });
  const [server] = await cluster.add(1);
  await logged(server, 'coordinator.refused');
  const status = await statusOf(server);
  assert.equal(status.state, 'refused');
  assert.match(status.reason, /this object store cannot be used by several instances: \d of 4 that .* at once were all told/);
  assert.deepEqual(status.elections, []);
  await serves(server);
  assert.deepEqual(cluster.lines(), [], 'no task of a leader ran');
  const shown = await cluster.command('status');
  assert.match(shown.stdout, /there has not been an election here/);
});
