// The work of a cluster: tickets are done once each, and what the leader hands out is done by those whose it is.
import test from 'node:test';
import assert from 'node:assert/strict';
import { existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { Cluster, PATIENT_MS } from './lib/cluster.mjs';
import { cell, remove, transactionAt, Writer } from './lib/facts.mjs';
import { HttpClient, request } from './lib/http.mjs';
import { site } from './lib/ids.mjs';
import { until } from './lib/wait.mjs';

const logged = (server, ...texts) => until(() => server.log.some((line) => texts.every((text) => line.includes(text))),
  () => `"${texts.join('" and "')}" in the log:\n${server.logText()}`, PATIENT_MS);

const metric = async (server, name) => {
  const { text } = await request(server.base, { path: '/metrics' });
  return Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(text)?.[1] ?? NaN);
};

const objectsOf = (cluster, ...names) => path.join(cluster.directory, 'objects', 'objects', ...names);
const ticketFile = (cluster, id, name) => objectsOf(cluster, 'plg_coordinator_work', 'default', 'tickets', id, `${name}=`);
const snapshotsOf = (cluster, db) => readdirSync(objectsOf(cluster, 'snapshots', db)).sort();

test('the ticket of a dead instance is done by another one; a second result is refused', async (t) => {
  const cluster = new Cluster(t, { settings: { 'coordinator.workerTimeoutMs': 2000 } });
  const held = path.join(cluster.directory, 'go-on');
  const claimOf = async (name) => (await cluster.line(`a claim of ${name}`, ([kind, , worker]) => kind === 'claimed' && worker === name))[1];
  // The first two claim a ticket each and do not finish it while the file is missing.
  const holding = (name) => cluster.add(1, {
    env: { SYNC_COORDINATOR_PROBE_TICKETS: '3', SYNC_COORDINATOR_PROBE_HOLD: held }, settings: { 'coordinator.workerId': name },
  });
  const [dead] = await holding('dead');
  const ofDead = await claimOf('dead');
  const [slow] = await holding('slow');
  const ofSlow = await claimOf('slow');
  const [quick] = await cluster.add(1, { env: { SYNC_COORDINATOR_PROBE_TICKETS: '3' } });
  await cluster.kill(dead);

  const done = () => cluster.lines().filter(([kind]) => kind === 'did');
  const resultOf = (id) => ticketFile(cluster, id, 'result.json');
  for (const ticket of [ofDead, ofSlow]) {
    await until(() => done().some(([, id]) => id === ticket) && existsSync(resultOf(ticket)),
      () => `${ticket} to be done:\n${cluster.logs()}`, PATIENT_MS);
    assert.ok(existsSync(ticketFile(cluster, ticket, 'claim-0002.json')), 'claimed again');
  }
  assert.equal(await metric(quick, 'sync_coordinator_tickets_redundant_total'), 0);

  // The slow one goes on, and is done with what has a result by now.
  const first = readFileSync(resultOf(ofSlow));
  writeFileSync(held, '');
  await logged(slow, `coordinator.ticket_done ticket=${ofSlow} first=false`);
  assert.ok(done().some(([, id, worker]) => id === ofSlow && worker === 'slow'), 'it was done twice');
  assert.equal(await metric(slow, 'sync_coordinator_tickets_redundant_total'), 1);
  assert.deepEqual(readFileSync(resultOf(ofSlow)), first, 'and has one result');
  cluster.assertOneLeaderAtATime();
});

test('the leader hands out sweeps, each instance prunes its own databases', async (t) => {
  const cluster = new Cluster(t, { settings: { 'sync.retentionHorizonMs': 300, 'sync.sweepIntervalMs': 1000 } });
  const servers = await cluster.add(2);
  await cluster.leader();
  for (const [i, server] of servers.entries()) {
    const client = new HttpClient(server, site(i + 1));
    await client.apply('swept', transactionAt(site(i + 1), 1_700_000_000_000, 0, [remove('t', [1])]));
    await until(async () => (await client.snapshot('swept')).every(({ type, entries }) => type !== 'tombstone' || entries.length === 0),
      () => `the tombstone of server ${i} to go:\n${cluster.logs()}`, PATIENT_MS);
    await logged(server, 'coordinator.ticket_done ticket=retention-');
  }
});

test('the leader hands out rounds of snapshots, and whoever owns the databases takes them', async (t) => {
  const cluster = new Cluster(t, {
    settings: { 'object.snapshotIntervalMs': 1000, 'coordinator.snapshotRoundMs': 1000 },
  });
  const [leader] = await cluster.add(1);
  await cluster.leader();
  // The owner goes by the leader's rounds, and would miss none for a long time.
  const [owner] = await cluster.add(1, {
    settings: { 'object.log': true, 'coordinator.workerId': 'owner', 'coordinator.snapshotRoundMs': 600_000 },
  });
  const writer = new Writer(site(1));
  await new HttpClient(owner, writer.site).apply('app', writer.transaction(cell('t', [1], 'a', 1)));
  await logged(owner, 'coordinator.ticket_done ticket=snapshot-schedule-', '-w-owner', '1 snapshots taken');
  assert.equal(snapshotsOf(cluster, 'app').length, 1);
  assert.equal(await metric(owner, 'sync_snapshots_total'), 1);
  // It has rounds, too, and nothing to do in them.
  await logged(leader, 'coordinator.ticket_done ticket=snapshot-schedule-', '0 snapshots taken');
});

test('while nobody leads, an instance takes what has been due for some rounds', async (t) => {
  const cluster = new Cluster(t, {
    settings: {
      'object.log': true, 'object.snapshotIntervalMs': 1000, 'coordinator.snapshotRoundMs': 1000,
      'coordinator.coldStart.skip': false, 'coordinator.coldStart.observationWindowMs': 3_600_000,
    },
  });
  const [server] = await cluster.add(1);
  await logged(server, '[coordinator:global] [default] Service started');
  const writer = new Writer(site(1));
  await new HttpClient(server, writer.site).apply('app', writer.transaction(cell('t', [1], 'a', 1)));
  await logged(server, 'snapshot.taken db=app');
  assert.equal(await metric(server, 'sync_coordinator_leader_changes_total'), 0);
});

// With a leader that says when, and without a coordinator.
for (const enabled of [true, false]) {
  test(`snapshots beyond those that are kept go, coordinator ${enabled ? 'on' : 'off'}`, async (t) => {
    const cluster = new Cluster(t, { settings: { 'object.log': true, 'object.snapshotChanges': 1, 'coordinator.enabled': enabled } });
    const [server] = await cluster.add(1);
    const writer = new Writer(site(1));
    const client = new HttpClient(server, writer.site);
    for (let i = 1; i <= 3; i++) {
      await client.apply('app', writer.transaction(cell('t', [i], 'a', i)));
      await until(async () => (await metric(server, 'sync_snapshots_total')) === i, () => `snapshot ${i}:\n${server.logText()}`, PATIENT_MS);
    }
    const [, , newest] = snapshotsOf(cluster, 'app');
    // Fewer are to be kept now, and the database does not change any more.
    Object.assign(server.settings, { 'object.snapshotsRetained': 1, 'object.cleanupIntervalMs': 1000 });
    await server.restart();
    await until(() => snapshotsOf(cluster, 'app').length === 1, () => `snapshots to go:\n${server.logText()}`, PATIENT_MS);
    assert.deepEqual(snapshotsOf(cluster, 'app'), [newest]);
    await logged(server, enabled ? 'coordinator.ticket_done ticket=clean-up-' : 'cleanup.done of=databases', '1 databases had too many');
    assert.equal(await metric(server, 'sync_snapshots_total'), 0, 'no snapshot was taken for it');
  });
}
