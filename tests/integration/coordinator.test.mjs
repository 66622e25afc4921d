// The coordinator on a directory: real servers elect one of themselves, lose it in every way, and go on.
import test from 'node:test';
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { BUILT_IN, Cluster, PATIENT_MS, electionOf, statusOf } from './lib/cluster.mjs';
import { scripted } from './lib/hooks.mjs';
import { request } from './lib/http.mjs';
import { runBinary, temporaryDirectory } from './lib/server.mjs';
import { until } from './lib/wait.mjs';

const has = (server, text) => server.log.some((line) => line.includes(text));
const logged = (server, text) => until(() => has(server, text), () => `"${text}" in the log:\n${server.logText()}`, PATIENT_MS);

test('three servers started together have one leader, which lasts', async (t) => {
  const cluster = new Cluster(t);
  const servers = await cluster.add(3);
  const leader = await cluster.leader();
  for (const server of servers) {
    await logged(server, `[coordinator:global] [default] Leader changed: none -> ${leader.workerId} (epoch: ${leader.epoch})`);
    assert.ok(has(server, '[coordinator:global] [default] Service started'));
    assert.ok(has(server, '[coordinator:global] [default] Plugin subscribed: retention'));
  }
  // It renews, and nobody replaces it meanwhile.
  await until(async () => (await electionOf(leader.server)).metrics.heartbeatCount >= 3, 'the lease to be renewed', PATIENT_MS);
  await cluster.line('work of the leader', ([kind, , , worker]) => kind === 'lead' && worker === leader.workerId);
  assert.deepEqual([...cluster.assertOneLeaderAtATime()], [[leader.epoch, leader.workerId]]);
});

test('kill -9 of the leader makes another one lead, with a higher epoch', async (t) => {
  const cluster = new Cluster(t);
  await cluster.add(3);
  const first = await cluster.leader();
  await cluster.line('work', ([kind]) => kind === 'lead');
  await cluster.kill(first.server);
  const second = await cluster.leader({ above: first.epoch });
  assert.notEqual(second.workerId, first.workerId);
  await cluster.line('work of the next', ([kind, , , worker]) => kind === 'lead' && worker === second.workerId);
  await cluster.kill(second.server);
  const third = await cluster.leader({ above: second.epoch });
  await cluster.line('work of the last', ([kind, , , worker]) => kind === 'lead' && worker === third.workerId);
  assert.equal(cluster.assertOneLeaderAtATime().size, 3);
});

test('a leader that was stopped for longer than its lease does not lead when it goes on', async (t) => {
  const cluster = new Cluster(t);
  await cluster.add(3);
  const first = await cluster.leader();
  await cluster.line('work', ([kind]) => kind === 'lead');
  await cluster.pause(first.server);
  const second = await cluster.leader({ above: first.epoch });
  await cluster.line('work of the next', ([kind, , , worker]) => kind === 'lead' && worker === second.workerId);
  cluster.resume(first.server);
  await logged(first.server, `This instance leads no more (epoch: ${first.epoch}): lease ran out`);
  await until(async () => (await electionOf(first.server)).leader === second.workerId, 'it to see the new one', PATIENT_MS);
  cluster.assertOneLeaderAtATime();
});

test('a clean stop gives the lease back, and hints make the next one lead', async (t) => {
  const cluster = new Cluster(t);
  await cluster.add(3);
  const first = await cluster.leader();
  await until(async () => (await electionOf(first.server)).workers.filter(({ live }) => live).length === 3,
    'the leader to know the others', PATIENT_MS);
  await first.server.stop();
  assert.ok(has(first.server, `This instance leads no more (epoch: ${first.epoch}): leaving`));
  assert.ok(has(first.server, 'Service stopped'));
  const second = await cluster.leader({ above: first.epoch });
  const { text } = await request(second.server.base, { path: '/metrics' });
  assert.match(text, /^sync_coordinator_hints_received_total [1-9]/m);
  assert.match(text, /^sync_coordinator_leader 1$/m);
  assert.match(text, new RegExp(`^sync_coordinator_epoch ${second.epoch}$`, 'm'));
  cluster.assertOneLeaderAtATime();
});

test('hooks are told who leads, and when that is over', async (t) => {
  const hook = (name) => ({ hooks: [scripted()], 'coordinator.workerId': name });
  const cluster = new Cluster(t);
  const [first] = await cluster.add(1, { settings: hook('first') });
  await cluster.leader();
  const [second] = await cluster.add(1, { settings: hook('second') });
  await logged(first, 'event coord:coordinator-promoted|default|global|first|1');
  await logged(second, 'event leader:changed|default|global|first|');
  await until(async () => (await electionOf(first)).workers.filter(({ live }) => live).length === 2, 'the leader to know the other', PATIENT_MS);
  await first.stop();
  // Told in their order, before the hook is closed.
  const told = first.log.map((line) => /event (\S+?)\|default\|global\|(\S*?)\|(\d+)/.exec(line)?.slice(1).join(' ')).filter(Boolean);
  const at = (event) => told.indexOf(event);
  assert.ok(at('coord:started  0') === 0, told.join('\n'));
  assert.ok(at('coord:coordinator-promoted first 1') < at('coord:coordinator-demoted  1'), told.join('\n'));
  assert.ok(at('coord:coordinator-demoted  1') < at('coord:stopped  0'), told.join('\n'));
  await logged(second, 'event coord:coordinator-promoted|default|global|second|');
});

test('a hint that does not prove itself is refused', async (t) => {
  const cluster = new Cluster(t);
  const [server] = await cluster.add(1);
  const post = (headers) => request(server.base, { method: 'POST', path: '/coordinator/hint', headers, body: '' });
  assert.equal((await post({})).status, 403);
  assert.equal((await post({ 'x-coordinator-hint': '0000000000000000 election' })).status, 403);
  assert.equal((await request(server.base, { path: '/coordinator/hint' })).status, 405);
});

test('status, elect and step-down work on the store itself', async (t) => {
  const cluster = new Cluster(t);
  await cluster.add(3);
  const first = await cluster.leader();
  await until(async () => (await electionOf(first.server)).workers.filter(({ live }) => live).length === 3,
    'the leader to know the others', PATIENT_MS);
  const status = await cluster.command('status');
  assert.equal(status.code, 0, status.stderr);
  assert.match(status.stdout, new RegExp(`^leader +${first.workerId}$`, 'm'));
  assert.match(status.stdout, new RegExp(`^epoch +${first.epoch}$`, 'm'));
  assert.match(status.stdout, /^workers +3$/m);
  assert.match(status.stdout, new RegExp(`^  ${first.workerId} +leader `, 'm'));

  const elect = await cluster.command('elect');
  assert.equal(elect.code, 0, elect.stderr);
  const second = await cluster.leader({ above: first.epoch });
  assert.match(elect.stdout, new RegExp(`${second.workerId} leads \\(epoch: ${second.epoch}\\)`));

  const stepDown = await cluster.command('step-down');
  assert.equal(stepDown.code, 0, stepDown.stderr);
  const third = await cluster.leader({ above: second.epoch });
  assert.notEqual(third.workerId, second.workerId, 'it leaves the lease to another one');
  assert.match(stepDown.stdout, new RegExp(`${third.workerId} leads \\(epoch: ${third.epoch}\\)`));
  assert.ok(has(second.server, 'asked to step down'));
  cluster.assertOneLeaderAtATime();
});

test('commands name what is wrong', async () => {
  const none = await runBinary(['coordinator', 'status'], { cwd: temporaryDirectory() });
  assert.deepEqual([none.code, none.stderr], [1, 'sync-coordinator: there is no object store to look into: set s3.bucket or object.dir\n']);
  const empty = ['--object-dir', path.join(temporaryDirectory(), 'objects')];
  const vacant = await runBinary(['coordinator', 'status', ...empty]);
  assert.equal(vacant.code, 1);
  assert.match(vacant.stdout, /there has not been an election here/);
  const elect = await runBinary(['coordinator', 'elect', ...empty]);
  assert.equal(elect.code, 1);
  assert.match(elect.stderr, /nobody leads plg_coordinator_global\/default\//);
  assert.equal((await runBinary(['coordinator', 'lead'])).code, 2);
});

test('settings that do not fit are refused, and say why', async () => {
  const check = (...flags) => runBinary(['--check-config', '--coordinator-enabled', 'true', ...flags], { cwd: temporaryDirectory() });
  const noStore = await check();
  assert.equal(noStore.code, 1);
  assert.match(noStore.stderr, /instances meet in an object store/);
  const shortLease = await check('--object-dir', 'x', '--coordinator-lease-timeout-ms', '6000');
  assert.equal(shortLease.code, 1);
  assert.match(shortLease.stderr, /leaseTimeoutMs is 6000, less than two heartbeats of 5000: one late answer/);
});

test('per-task: each task has an election of its own', async (t) => {
  const cluster = new Cluster(t, {
    settings: {
      'coordinator.mode': 'per-task',
      'coordinator.perTask.heartbeatIntervalMs': 500,
      'coordinator.perTask.workerTimeoutMs': 2000,
      'coordinator.perTask.minEpochDurationMs': 0,
      'coordinator.perTask.maxEpochDurationMs': 0,
    },
  });
  const servers = await cluster.add(2);
  const names = [...BUILT_IN, 'probe'];
  const leads = async (name) => (await Promise.all(servers.map((server) => electionOf(server, name)))).filter((e) => e?.leads).length;
  for (const name of names) await until(async () => (await leads(name)) === 1, `a leader of ${name}`, PATIENT_MS);
  assert.ok(servers.some((server) => has(server, '[coordinator:probe] [default] Leader changed: none -> ')));
  await cluster.line('work', ([kind]) => kind === 'lead');
  cluster.assertOneLeaderAtATime();
  const status = await cluster.command('status');
  assert.equal(status.code, 0, status.stderr);
  for (const name of names) assert.match(status.stdout, new RegExp(`^election +${name}$`, 'm'));
  const objects = path.join(cluster.directory, 'objects', 'objects');
  assert.deepEqual(readdirSync(path.join(objects, 'plg_coordinator_task', 'default')).sort(), [...names].sort());
});

test('status shows the tasks and what they did, cluster.json the cluster', async (t) => {
  const cluster = new Cluster(t);
  await cluster.add(2);
  const leader = await cluster.leader();
  const tasks = await until(async () => {
    const { tasks } = await electionOf(leader.server);
    return tasks.filter(({ name }) => name !== 'probe').every(({ lastRun }) => lastRun !== null) && tasks;
  }, 'every task to have run', PATIENT_MS);
  assert.deepEqual(tasks.map(({ name }) => name), [...BUILT_IN, 'probe']);
  for (const { name, lastRun } of tasks.slice(0, BUILT_IN.length)) assert.equal(lastRun.result, 'ok', `${name}: ${lastRun.text}`);
  const file = path.join(cluster.directory, 'objects', 'objects', 'plg_coordinator_work', 'default', 'cluster.json=');
  await until(() => existsSync(file) && readFileSync(file, 'utf8').includes(leader.workerId), 'cluster.json', PATIENT_MS);
  assert.equal((await statusOf(leader.server)).mode, 'global');
});

test('a server without a coordinator says so', async (t) => {
  const cluster = new Cluster(t, { settings: { 'coordinator.enabled': false } });
  const [server] = await cluster.add(1);
  assert.deepEqual(await statusOf(server), { enabled: false });
});
