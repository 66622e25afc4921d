// sync-bench works against this server: every figure is there and is one. What they are decides nothing here.
import test, { after } from 'node:test';
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import path from 'node:path';
import { BINARY, startServer, temporaryDirectory } from './lib/server.mjs';
import { within } from './lib/wait.mjs';

const BENCH = path.join(path.dirname(BINARY), 'sync-bench');
const BENCH_MS = 120_000;

async function bench(args) {
  const child = spawn(BENCH, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (bytes) => (stdout += bytes));
  child.stderr.on('data', (bytes) => (stderr += bytes));
  const end = new Promise((resolve, reject) => child.on('error', reject).on('close', resolve));
  try {
    assert.equal(await within(end, 'the bench to end', BENCH_MS), 0, stderr);
  } finally {
    child.kill('SIGKILL');
  }
  return JSON.parse(stdout);
}

// Every number in the report, by its path.
function figures(value, at = '') {
  if (typeof value !== 'object') return [[at, value]];
  return Object.entries(value).flatMap(([key, member]) => figures(member, at === '' ? key : `${at}.${key}`));
}

function expectFigures(report, expected) {
  const found = new Map(figures(report));
  for (const [name, value] of found) {
    if (name === 'storm.after') continue;
    assert.ok(Number.isFinite(value), `${name} is ${value}`);
  }
  for (const name of expected) assert.ok(found.get(name) > 0, `${name} is ${found.get(name)}`);
}

test('a whole run with a server of its own has a figure for everything', async () => {
  const report = await bench(['--smoke', '--limit', '--serve', BINARY, '--dir', temporaryDirectory()]);
  expectFigures(report, [
    'empty_start.ready_ms', 'empty_start.resident_kib',
    ...report.apply.flatMap((_, i) => ['transactions_per_s', 'ack_p50_us', 'ack_p99_us', 'ack_p99_9_us',
      'server_cpu_us_per_transaction', 'transactions_per_sync', 'raw_leveldb_transactions_per_s', 'ratio_to_raw']
      .map((name) => `apply.${i}.${name}`)),
    ...report.fanout.flatMap((_, i) => ['one_at_a_time_p50_us', 'deliveries_per_s', 'many_p99_us', 'raw_sends_per_s',
      'ratio_to_raw'].map((name) => `fanout.${i}.${name}`)),
    ...['http_empty_database', 'ws_empty_database', 'http_large_database', 'ws_large_database']
      .map((name) => `poll.${name}.round_trip_p50_us`),
    ...['delta_ws', 'delta_http', 'snapshot_ws', 'snapshot_http'].map((name) => `read.${name}.megabytes_per_s`),
    'start.store_megabytes', 'start.ready_ms', 'start.resident_kib',
    'stalled.without.deliveries_per_s', 'stalled.with.deliveries_per_s', 'stalled.ratio_with_to_without',
    ...['alone', 'beside_heavy_writing', 'beside_a_backlog_that_comes', 'beside_a_backlog_in_large_messages',
      'beside_a_backlog_that_is_fetched']
      .map((name) => `fairness.${name}.ack_p99_us`),
    'fairness.beside_heavy_writing.heavy_transactions_per_s',
    'storm.clients', 'storm.all_live_ms', 'storm.peak_kib',
    'big.store_megabytes', 'big.ready_ms', 'big.snapshot_megabytes', 'big.resident_peak_kib',
    'idle.connections', 'idle.opened_per_s', 'idle.resident_before_kib',
  ]);
  assert.equal(report.apply.length, 10);
  assert.deepEqual(report.fanout.map((row) => row.receivers), [1, 100]);
});

test('a server that runs already is measured by its address', async () => {
  const server = await startServer({ after });
  const address = new URL(server.base).host;
  const report = await bench(['--smoke', '--address', address, '--only', 'apply,fanout,poll,storm', '--row', '10x16']);
  expectFigures(report, ['apply.0.transactions_per_s', 'fanout.1.deliveries_per_s', 'poll.ws_empty_database.round_trip_p50_us',
    'storm.all_live_ms']);
  assert.deepEqual(report.apply.map((row) => [row.transactions_per_message, row.connections]), [[10, 16]]);
});
