// The coordinator on a real S3 server: the same as on a directory, and what only a network can do.
import test, { after } from 'node:test';
import assert from 'node:assert/strict';
import { Cluster, PATIENT_MS, electionOf } from './lib/cluster.mjs';
import { Relay, denyingProxy, networkNamespace, startS3 } from './lib/s3.mjs';
import { until } from './lib/wait.mjs';

const s3 = await startS3({ after });
const logged = (server, text) => until(() => server.log.some((line) => line.includes(text)),
  () => `"${text}" in the log:\n${server.logText()}`, PATIENT_MS);
const workOf = (cluster, { workerId, epoch }) => cluster.line(`work of ${workerId}`,
  ([kind, , e, worker]) => kind === 'lead' && worker === workerId && Number(e) === epoch);

test('started together, one leads; kill -9 and SIGSTOP make others lead', async (t) => {
  const cluster = new Cluster(t, { store: { ...s3.settings(), ...s3.prefix() } });
  await cluster.add(3);
  const first = await cluster.leader();
  await workOf(cluster, first);
  await cluster.kill(first.server);
  const second = await cluster.leader({ above: first.epoch });
  await workOf(cluster, second);
  await cluster.add(1);
  await cluster.pause(second.server);
  const third = await cluster.leader({ above: second.epoch });
  await workOf(cluster, third);
  cluster.resume(second.server);
  await logged(second.server, `This instance leads no more (epoch: ${second.epoch}): lease ran out`);
  await until(async () => (await electionOf(second.server)).leader === third.workerId, 'it to see who leads', PATIENT_MS);
  const status = await cluster.command('status');
  assert.equal(status.code, 0, status.stderr);
  assert.match(status.stdout, new RegExp(`^leader +${third.workerId}$`, 'm'));
  cluster.assertOneLeaderAtATime();
});

// The cable of a network namespace where there are some, else a relay that swallows everything.
async function cuttable(t) {
  const namespace = networkNamespace(t);
  t.diagnostic(namespace === undefined ? 'through a relay' : 'in a network namespace');
  if (namespace !== undefined) {
    const relay = await Relay.start(t, s3.port, namespace.host);
    return { endpoint: relay.endpoint, through: namespace.through, cut: namespace.cut, mend: namespace.mend };
  }
  const relay = await Relay.start(t, s3.port);
  return { endpoint: relay.endpoint, through: [], cut: () => relay.set('silent'), mend: () => relay.set('pass') };
}

test('a leader that is cut off from the store stops leading before another one starts', async (t) => {
  const link = await cuttable(t);
  const prefix = s3.prefix();
  const cluster = new Cluster(t, { store: { ...s3.settings(), ...prefix } });
  const [lonely] = await cluster.add(1, {
    settings: { ...s3.settings(link.endpoint), 'coordinator.workerId': 'lonely' },
    through: link.through,
  });
  lonely.hidden = true;
  await workOf(cluster, { workerId: 'lonely', epoch: 1 });
  await cluster.add(2);
  link.cut();
  const next = await cluster.leader({ above: 1 });
  await workOf(cluster, next);
  await logged(lonely, 'This instance leads no more (epoch: 1): lease ran out');
  link.mend();
  await logged(lonely, 'Leader changed: lonely -> '); // by then perhaps of an epoch after that one
  cluster.assertOneLeaderAtATime();
});

test('while the store answers with errors nobody leads; afterwards one does', async (t) => {
  const relay = await Relay.start(t, s3.port);
  const cluster = new Cluster(t, { store: { ...s3.settings(relay.endpoint), ...s3.prefix() } });
  const servers = await cluster.add(3);
  const first = await cluster.leader();
  await workOf(cluster, first);
  relay.set('errors');
  await logged(first.server, `This instance leads no more (epoch: ${first.epoch}): lease ran out`);
  for (const server of servers) await logged(server, 'Circuit breaker open');
  for (const server of servers) assert.equal((await electionOf(server)).leads, false);
  relay.set('pass');
  const next = await cluster.leader({ above: first.epoch });
  await workOf(cluster, next);
  await logged(next.server, 'Circuit breaker closed');
  cluster.assertOneLeaderAtATime();
});

test('instances whose rights do not reach the shared election fall back to one for each task', async (t) => {
  const endpoint = await denyingProxy(t, s3.port, 'plg_coordinator_global');
  const cluster = new Cluster(t, {
    store: { ...s3.settings(endpoint), ...s3.prefix() },
    settings: { 'coordinator.perTask.heartbeatIntervalMs': 500, 'coordinator.perTask.workerTimeoutMs': 3000 },
  });
  const servers = await cluster.add(2);
  for (const server of servers) {
    await logged(server, 'Failed to initialize global coordination: ');
    await logged(server, 'Global coordinator unavailable, falling back to per-task mode');
  }
  await cluster.line('work of a leader of the probe', ([kind]) => kind === 'lead');
  const leads = await until(async () => {
    const all = await Promise.all(servers.map((server) => electionOf(server, 'retention')));
    return all.filter((election) => election?.leads);
  }, 'a leader of retention', PATIENT_MS);
  assert.ok(leads.length <= 1);
  cluster.assertOneLeaderAtATime();
});
