// coordinator.mjs -- what the coordinator takes: time to a leader, and requests to the object store.
//
//   node tests/bench/coordinator.mjs [times] [requests] [--s3] [--trials N] [--scale N]
//
// times: three real servers with the default settings, cold start skipped: from starting their processes to the
// first leader, from kill -9 of the leader to the next, from SIGTERM to the next.
// requests: three real servers with all times divided by the scale (20), for an hour divided by it, everything that the
// object store was asked for counted (sync_object_requests_total), the work of the tasks included; with the tasks
// that come with the server, and with more, ten in all. What an instance asks once when it starts is not in it.
// On a directory, or with --s3 on a real S3 server.
import { BUILT_IN, Cluster, electionOf } from '../integration/lib/cluster.mjs';
import { request } from '../integration/lib/http.mjs';
import { startS3 } from '../integration/lib/s3.mjs';
import { until } from '../integration/lib/wait.mjs';

const HOUR_MS = 3_600_000;
const MONTH_HOURS = 730;
const LIST_PRICE = { write: 0.005 / 1000, read: 0.0004 / 1000 }; // S3 Standard, us-east-1: PUT and LIST; GET
const READS = new Set(['get', 'head']);
const FREE = new Set(['delete']);
const LONG_MS = 120_000;

const args = process.argv.slice(2);
const wanted = args.filter((arg) => arg === 'times' || arg === 'requests');
const numberOf = (flag, otherwise) => (args.includes(flag) ? Number(args[args.indexOf(flag) + 1]) : otherwise);
const trials = numberOf('--trials', 5);
const SCALE = numberOf('--scale', 20);
const cleanups = [];
const t = { after: (cleanup) => cleanups.unshift(cleanup) };
const DEFAULTS = {
  'coordinator.heartbeatIntervalMs': 5000,
  'coordinator.heartbeatJitterMs': 1000,
  'coordinator.leaseTimeoutMs': 15000,
  'coordinator.workerTimeoutMs': 20000,
};

async function cleanUp(from) {
  while (cleanups.length > from) await cleanups.shift()();
}

const loggedAt = (server, text) => {
  const line = server.log.find((l) => l.includes(text));
  return line === undefined ? undefined : Date.parse(line.split(' ')[0]);
};

// When somebody logs that it leads, above an epoch: the log's time, so that asking costs nothing.
async function electedAt(servers, above) {
  return until(() => {
    for (const server of servers) {
      for (const line of server.log) {
        const match = /^(\S+) .*This instance leads \(epoch: (\d+),/.exec(line);
        if (match && Number(match[2]) > above) return { at: Date.parse(match[1]), epoch: Number(match[2]), server };
      }
    }
    return new Promise((next) => setTimeout(() => next(undefined), 5));
  }, 'a leader', LONG_MS);
}

async function measureTimes(store) {
  const figures = { 'first leader, from the start of the processes': [], 'first leader, from the first that listens': [],
    'next leader after a clean stop': [], 'next leader after kill -9': [] };
  const [process_, listening, clean, killed] = Object.values(figures);
  for (let i = 0; i < trials; i++) {
    const before = cleanups.length;
    const cluster = new Cluster(t, { store: store(), settings: DEFAULTS, env: { SYNC_COORDINATOR_PROBE: '' } });
    const from = Date.now();
    const servers = await cluster.add(3);
    const first = await electedAt(servers, 0);
    process_.push(first.at - from);
    listening.push(first.at - Math.min(...servers.map((server) => loggedAt(server, 'server.listening'))));
    await until(async () => (await electionOf(first.server)).workers.filter(({ live }) => live).length === 3, 'all to be known', LONG_MS);
    const stopping = Date.now();
    const stopped = cluster.servers.splice(cluster.servers.indexOf(first.server), 1)[0].stop();
    const second = await electedAt(servers, first.epoch);
    clean.push(second.at - stopping);
    await stopped;
    await cluster.add(1);
    const killing = Date.now();
    await cluster.kill(second.server);
    const third = await electedAt(cluster.servers, second.epoch);
    killed.push(third.at - killing);
    await cleanUp(before);
  }
  console.log(`\n| ${trials} runs | median | longest |\n|---|---|---|`);
  for (const [name, ms] of Object.entries(figures)) {
    ms.sort((a, b) => a - b);
    const s = (x) => `${(x / 1000).toFixed(2)} s`;
    console.log(`| ${name} | ${s(ms[Math.floor(ms.length / 2)])} | ${s(ms.at(-1))} |`);
  }
}

async function countRequests(server) {
  const { text } = await request(server.base, { path: '/metrics' });
  const counts = {};
  for (const [, op, n] of text.matchAll(/^sync_object_requests_total\{[a-z]+="([a-z_]+)"\} (\d+)$/gm)) counts[op] = Number(n);
  return counts;
}

async function measureRequests(store, tasks) {
  const before = cleanups.length;
  const scaled = Object.fromEntries(Object.entries(DEFAULTS).map(([name, ms]) => [name, ms / SCALE]));
  const extra = tasks - BUILT_IN.length;
  const cluster = new Cluster(t, {
    store: store(),
    settings: {
      ...scaled, 'sync.sweepIntervalMs': HOUR_MS / SCALE, 'coordinator.snapshotRoundMs': HOUR_MS / SCALE,
      'object.cleanupIntervalMs': 24 * HOUR_MS / SCALE,
    },
    env: extra === 0 ? { SYNC_COORDINATOR_PROBE: '' } : { SYNC_COORDINATOR_PROBES: String(extra), SYNC_COORDINATOR_PROBE_QUIET: '1' },
  });
  const servers = await cluster.add(3);
  const leader = await cluster.leader();
  const settle = 60_000 / SCALE;
  await new Promise((over) => { setTimeout(() => over(), settle); });
  const from = Date.now();
  const first = await Promise.all(servers.map(countRequests));
  await new Promise((over) => { setTimeout(() => over(), HOUR_MS / SCALE); });
  const last = await Promise.all(servers.map(countRequests));
  const hours = (Date.now() - from) * SCALE / HOUR_MS;
  const still = await cluster.leader();
  console.log(`\n${tasks} tasks, ${(hours * 60 / SCALE).toFixed(1)} minutes at 1:${SCALE}${still.epoch === leader.epoch ? '' : ', the leader changed meanwhile'}`);
  console.log('| | requests an hour | of these | a month at S3\'s list price |\n|---|---|---|---|');
  for (const [i, server] of servers.entries()) {
    const kinds = Object.entries(last[i]).map(([op, n]) => [op, Math.round((n - (first[i][op] ?? 0)) / hours)]).filter(([, n]) => n > 0);
    const sum = kinds.reduce((total, [, n]) => total + n, 0);
    const dollars = kinds.reduce((total, [op, n]) => total + n * (FREE.has(op) ? 0 : READS.has(op) ? LIST_PRICE.read : LIST_PRICE.write), 0);
    console.log(`| ${server === still.server ? 'leader' : 'follower'} | ${sum} | ${kinds.map(([op, n]) => `${op} ${n}`).join(', ')} | $${(dollars * MONTH_HOURS).toFixed(2)} |`);
  }
  await cleanUp(before);
}

const s3 = args.includes('--s3') ? await startS3(t) : undefined;
const store = () => (s3 === undefined ? undefined : { ...s3.settings(), ...s3.prefix() });
console.log(s3 === undefined ? 'On a directory.' : 'On Ceph\'s RADOS Gateway.');
if (wanted.length === 0 || wanted.includes('times')) await measureTimes(store);
if (wanted.length === 0 || wanted.includes('requests')) for (const tasks of [BUILT_IN.length, 10]) await measureRequests(store, tasks);
await cleanUp(0);
