// objects.mjs -- what the object store costs, as ratios on one machine, with a real S3 server (tests/s3-server).
//
//   node tests/bench/objects.mjs [apply] [snapshot] [--rounds N] [--long] [--mib N] [--alone] [--cgroup DIR]
//
// apply: transactions acknowledged a second over 256 connections, one under way on each (sync-bench): without an object
// store, with S3, and with durability object. In turns; medians, and the median ratios within a round. --long: ten times as
// many transactions, which is what a first snapshot is spread over.
// snapshot: a database of so many MiB through a snapshot and a restore on an empty machine, beside a plain upload in
// parts and a plain download of as many bytes as the snapshot has (bench_objects), with the memory that each took; and
// the restore beside LevelDB alone writing the same records (bench-restore). --alone: nothing beside them, for large ones.
// --cgroup: the server runs in that control group, whose memory limit then also holds what the system caches for it.
//
// Needs the targets sync-coordinator, sync-bench, bench_objects and bench-restore.
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { cell, Writer } from '../integration/lib/facts.mjs';
import { HttpClient, request } from '../integration/lib/http.mjs';
import { site } from '../integration/lib/ids.mjs';
import { startS3 } from '../integration/lib/s3.mjs';
import { BINARY, Server, nest, temporaryDirectory } from '../integration/lib/server.mjs';
import { until } from '../integration/lib/wait.mjs';

const MIB = 1 << 20;
const LONG_MS = 3_600_000;
const VALUE_BYTES = 1000; // random base64: what gzip can make of it is little
const BATCH_FACTS = 1000;
const POSTS_AT_ONCE = 4;

const args = process.argv.slice(2);
const valueOf = (flag) => (args.includes(flag) ? args[args.indexOf(flag) + 1] : undefined);
const rounds = Number(valueOf('--rounds') ?? 5);
const mib = Number(valueOf('--mib') ?? 256);
const wanted = args.filter((arg) => arg === 'apply' || arg === 'snapshot');
const cgroup = valueOf('--cgroup');
const cleanups = [];
const t = { after: (cleanup) => cleanups.unshift(cleanup) };
const program = (name) => path.join(path.dirname(BINARY), name);
const median = (list) => [...list].sort((a, b) => a - b)[list.length >> 1];
const load = () => os.loadavg()[0].toFixed(1);

// Transactions a second; the server's settings go by a file.
function applyRate(settings) {
  const directory = temporaryDirectory();
  const config = path.join(directory, 'config.json');
  writeFileSync(config, JSON.stringify(nest(settings)));
  const out = execFileSync(program('sync-bench'), ['--serve', BINARY, '--dir', directory, '--only', 'apply', '--row', '1x256',
    ...(args.includes('--long') ? ['--long'] : []), '--', '--config', config], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });
  rmSync(directory, { recursive: true, force: true });
  return JSON.parse(out).apply[0].transactions_per_s;
}

function measureApply(s3) {
  const kinds = {
    'fsync, no object store': () => ({}),
    'fsync, S3': () => ({ ...s3.settings(), ...s3.prefix() }),
    'object, S3': () => ({ ...s3.settings(), ...s3.prefix(), 'storage.durability': 'object' }),
  };
  const rates = Object.fromEntries(Object.keys(kinds).map((kind) => [kind, []]));
  for (let round = 0; round < rounds; round++) {
    for (const [kind, settings] of Object.entries(kinds)) rates[kind].push(applyRate(settings()));
    console.log(`round ${round + 1}: ${Object.values(rates).map((list) => list.at(-1)).join('  ')}  (load ${load()})`);
  }
  const [none, s3Rates, object] = Object.values(rates);
  for (const [kind, list] of Object.entries(rates)) console.log(`${kind.padEnd(24)} ${median(list)} transactions/s`);
  console.log(`S3 / none               ${median(s3Rates.map((rate, i) => rate / none[i])).toFixed(2)}`);
  console.log(`object / fsync with S3  ${median(object.map((rate, i) => rate / s3Rates[i])).toFixed(2)}`);
  console.log(`object / fsync without  ${median(object.map((rate, i) => rate / none[i])).toFixed(2)}`);
}

async function metric(server, name) {
  const { text } = await request(server.base, { path: '/metrics', ms: LONG_MS });
  return Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(text)?.[1] ?? NaN);
}

// MiB that only the process has: LevelDB also maps its tables, which the system takes back when it needs the room.
function memory(server) {
  const [, kib] = /RssAnon:\s+(\d+) kB/.exec(readFileSync(`/proc/${server.pid}/status`, 'utf8'));
  return Math.round(kib / 1024);
}

// Waits until it has counted so far: the most memory meanwhile.
async function counted(server, name, count) {
  let most = 0;
  await until(async () => {
    await new Promise((next) => setTimeout(next, 50));
    most = Math.max(most, memory(server));
    return (await metric(server, name)) >= count;
  }, () => `${name}:\n${server.logText()}`, LONG_MS);
  return most;
}

async function fill(server) {
  const writer = new Writer(site(1));
  const client = new HttpClient(server, writer.site);
  const batches = Math.ceil((mib * MIB) / VALUE_BYTES / BATCH_FACTS);
  let next = 0;
  const post = async () => {
    while (next < batches) {
      const batch = next++;
      const noise = randomBytes((BATCH_FACTS * VALUE_BYTES * 3) / 4).toString('base64');
      const facts = Array.from({ length: BATCH_FACTS }, (_, i) =>
        cell('t', [batch, i], 'v', noise.slice(i * VALUE_BYTES, (i + 1) * VALUE_BYTES)));
      await client.apply('big', writer.transaction(facts));
    }
  };
  await Promise.all(Array.from({ length: POSTS_AT_ONCE }, post));
}

function plain(s3, bytes) {
  const values = s3.settings();
  const env = { ...process.env, S3_ENDPOINT: values['s3.endpoint'], S3_BUCKET: values['s3.bucket'], S3_REGION: values['s3.region'],
    S3_ACCESS_KEY: values['s3.accessKeyId'], S3_SECRET_KEY: values['s3.secretAccessKey'], OBJECTS_RUN: `plain-${process.pid}` };
  const run = (...more) => Number(execFileSync(program('bench_objects'), ['s3', '', ...more], { encoding: 'utf8', env }));
  const size = String(Math.max(8, Math.round(bytes / MIB / 8) * 8));
  return { upload: run('upload', size, '2', 'plain'), download: run('download', 'plain') };
}

async function measureSnapshot(s3) {
  const settings = { ...s3.settings(), ...s3.prefix(), 'object.snapshotIntervalMs': 3_600_000 };
  const through = cgroup === undefined ? [] : ['/bin/sh', '-c', 'echo $$ > "$0/cgroup.procs" && exec "$@"', cgroup];
  const first = await new Server({ settings, through }).start();
  t.after(() => first.dispose());
  await fill(first);
  await counted(first, 'sync_log_objects_total', 2);
  await until(async () => (await metric(first, 'sync_log_backlog_databases')) === 0, 'the uploads', LONG_MS);
  await first.stop();
  first.settings['object.snapshotIntervalMs'] = 1000;
  await first.start();
  await request(first.base, { path: '/big/changes?sinceHLC=', headers: { 'x-site-id': site(1) }, ms: LONG_MS });
  const taken = { most: await counted(first, 'sync_snapshots_total', 1) };
  taken.s = await metric(first, 'sync_snapshot_duration_seconds_sum');
  const bytes = await metric(first, 'sync_snapshot_bytes_total');
  await first.stop();
  rmSync(first.dataDir, { recursive: true, force: true });
  const second = await new Server({ settings, through }).start();
  t.after(() => second.dispose());
  void request(second.base, { path: '/big/changes', headers: { 'x-site-id': site(1) }, ms: LONG_MS }).catch(() => {});
  const restored = { most: await counted(second, 'sync_restores_total', 1) };
  restored.s = await metric(second, 'sync_restore_duration_seconds_sum');
  const rate = ({ s }) => bytes / MIB / s;
  const line = (what, { s, most }, other) => console.log(`${what.padEnd(9)} ${s.toFixed(1)} s, ${rate({ s }).toFixed(1)} MiB/s, `
    + (other === undefined ? '' : `plain ${other.toFixed(1)} MiB/s, ratio ${(rate({ s }) / other).toFixed(2)}, `) + `at most ${most} MiB of memory`);
  console.log(`${mib} MiB of values, a snapshot of ${(bytes / MIB).toFixed(0)} MiB (load ${load()})`);
  const beside = args.includes('--alone') ? [] : Array.from({ length: 3 }, () => plain(s3, bytes));
  line('snapshot', taken, median(beside.map(({ upload }) => upload)));
  line('restore', restored, median(beside.map(({ download }) => download)));
  if (beside.length === 0) return;
  const alone = JSON.parse(execFileSync(program('bench-restore'), [temporaryDirectory() + '/alone', String(mib)], { encoding: 'utf8' }));
  const values = mib / restored.s;
  console.log(`restore   ${values.toFixed(1)} MiB/s of values; LevelDB alone ${alone.apart.toFixed(1)}, ratio ${(values / alone.apart).toFixed(2)}; `
    + `with both records in one batch ${alone.mixed.toFixed(1)}, ratio ${(values / alone.mixed).toFixed(2)}`);
}

const s3 = await startS3(t);
try {
  if (wanted.length === 0 || wanted.includes('apply')) measureApply(s3);
  if (wanted.length === 0 || wanted.includes('snapshot')) await measureSnapshot(s3);
} finally {
  while (cleanups.length > 0) await cleanups.shift()();
}
