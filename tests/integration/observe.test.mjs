// What an operator sees: status, health, metrics.
import test, { after } from 'node:test';
import assert from 'node:assert/strict';
import { cell, transactionAt } from './lib/facts.mjs';
import { HttpClient, request } from './lib/http.mjs';
import { site } from './lib/ids.mjs';
import { freshDatabase } from './lib/names.mjs';
import { startServer } from './lib/server.mjs';
import { Session } from './lib/session.mjs';
import { until } from './lib/wait.mjs';

const server = await startServer({ after });
const A = site(1);
const get = (path) => request(server.base, { path });
const status = async () => (await get('/status')).json.data;

// {name{labels}: value} of a scrape, and the types.
async function metrics() {
  const { text } = await get('/metrics');
  const values = new Map();
  const types = new Map();
  for (const line of text.split('\n').filter(Boolean)) {
    const type = /^# TYPE (\S+) (\S+)$/.exec(line);
    if (type) types.set(type[1], type[2]);
    if (line.startsWith('#')) continue;
    const sample = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(\{[^}]*\})? (\S+)$/.exec(line);
    assert.ok(sample, `not a sample: ${line}`);
    values.set(sample[1] + (sample[2] ?? ''), Number(sample[3]));
  }
  const total = (name) => [...values].filter(([key]) => key === name || key.startsWith(`${name}{`))
    .reduce((sum, [, value]) => sum + value, 0);
  return { values, types, total };
}

test('status has the three fields of old, and more', async () => {
  const answer = await get('/status');
  assert.equal(answer.status, 200);
  assert.equal(answer.json.ok, true);
  const { openStores, connectedClients, uptime, version, ...more } = answer.json.data;
  for (const number of [openStores, connectedClients, uptime]) assert.equal(typeof number, 'number');
  assert.match(version, /^\d+\.\d+\.\d+/);
  assert.ok('durability' in more);
});

test('connected clients are counted as they come and go', async () => {
  const before = (await status()).connectedClients;
  const db = freshDatabase('count');
  const sessions = await Promise.all([1, 2, 3].map((n) => Session.open(server, { db, site: site(n) })));
  assert.equal((await status()).connectedClients, before + 3);
  await Promise.all(sessions.map((session) => session.close()));
  await until(async () => (await status()).connectedClients === before, 'the clients to be gone from the status');
});

test('health and readiness are 200 while the server serves', async () => {
  assert.equal((await get('/healthz')).status, 200);
  assert.equal((await get('/readyz')).status, 200);
});

const TYPES = {
  sync_websocket_connections_active: 'gauge',
  sync_websocket_connections_total: 'counter',
  sync_http_requests_total: 'counter',
  sync_http_request_duration_seconds: 'histogram',
  sync_changes_applied_total: 'counter',
  sync_changes_received_total: 'counter',
  sync_changes_rejected_total: 'counter',
  sync_changes_broadcast_total: 'counter',
  sync_broadcast_errors_total: 'counter',
  sync_auth_attempts_total: 'counter',
  sync_auth_failures_total: 'counter',
  sync_apply_changes_duration_seconds: 'histogram',
  sync_get_changes_duration_seconds: 'histogram',
  sync_snapshot_requests_total: 'counter',
  sync_snapshot_chunks_total: 'counter',
  sync_change_batch_size: 'histogram',
};

test('metrics are Prometheus text with every name and type of old', async () => {
  const db = freshDatabase('types');
  await new HttpClient(server, A).apply(db, transactionAt(A, 1000, 0, [cell('t', [1], 'a', 1)]));
  const answer = await get('/metrics');
  assert.match(answer.headers['content-type'], /^text\/plain; ?version=0\.0\.4/);
  const { types } = await metrics();
  for (const [name, type] of Object.entries(TYPES)) assert.equal(types.get(name), type, name);
});

test('every metric has a help and a type before its samples', async () => {
  const { text } = await get('/metrics');
  assert.ok(text.endsWith('\n'));
  const described = new Set();
  for (const line of text.split('\n').filter(Boolean)) {
    const comment = /^# (HELP|TYPE) (\S+) /.exec(line);
    if (comment) {
      described.add(`${comment[1]} ${comment[2]}`);
      continue;
    }
    const name = /^[a-zA-Z0-9_:]+/.exec(line)[0].replace(/_(bucket|sum|count)$/, '');
    const full = /^[a-zA-Z0-9_:]+/.exec(line)[0];
    assert.ok(['HELP', 'TYPE'].every((kind) => described.has(`${kind} ${name}`) || described.has(`${kind} ${full}`)), line);
  }
});

test('metrics count what happens', async () => {
  const db = freshDatabase('counts');
  const before = await metrics();
  const session = await Session.open(server, { db, site: site(2) });
  const client = new HttpClient(server, A);
  await client.apply(db, [transactionAt(A, 1000, 0, [cell('t', [1], 'a', 1), cell('t', [2], 'a', 1)])]);
  await session.next('push_changes');
  await session.changes();
  await session.chunks();
  const later = await metrics();
  const grew = (name) => later.total(name) - before.total(name);
  assert.equal(grew('sync_websocket_connections_total'), 1);
  assert.equal(grew('sync_changes_received_total'), 2);
  assert.equal(grew('sync_changes_applied_total'), 2);
  assert.ok(grew('sync_changes_broadcast_total') >= 1);
  assert.ok(grew('sync_http_requests_total') >= 1);
  assert.equal(grew('sync_snapshot_requests_total'), 1);
  assert.ok(grew('sync_snapshot_chunks_total') >= 5);
  assert.ok(grew('sync_apply_changes_duration_seconds_count') >= 1);
  assert.ok(grew('sync_get_changes_duration_seconds_count') >= 1);
  assert.ok(grew('sync_change_batch_size_count') >= 1);
  await session.close();
});

test('histograms are cumulative and end with +Inf', async () => {
  const { values } = await metrics();
  const buckets = [...values].filter(([key]) => key.startsWith('sync_apply_changes_duration_seconds_bucket'));
  assert.ok(buckets.length > 3);
  const limits = buckets.map(([key]) => Number(/le="([^"]+)"/.exec(key)[1].replace('+Inf', 'Infinity')));
  assert.deepEqual(limits, [...limits].sort((a, b) => a - b));
  assert.equal(limits.at(-1), Infinity);
  const counts = buckets.map(([, value]) => value);
  assert.deepEqual(counts, [...counts].sort((a, b) => a - b));
  assert.equal(counts.at(-1), values.get('sync_apply_changes_duration_seconds_count'));
});

test('a client cannot make label values without end', async () => {
  const before = (await metrics()).values.size;
  for (let n = 0; n < 200; n++) await get(`/nowhere-${n}/x`);
  for (let n = 0; n < 50; n++) await new HttpClient(server, A).delta(`label-${n}`);
  const growth = (await metrics()).values.size - before;
  assert.ok(growth < 60, `${growth} new series`);
});

test('many databases cost no more open files than one', async (t) => {
  const { readdir } = await import('node:fs/promises');
  if (process.platform !== 'linux') return t.skip('needs /proc');
  const open = async () => (await readdir(`/proc/${server.pid}/fd`)).length;
  const client = new HttpClient(server, A);
  await client.apply(freshDatabase('files'), transactionAt(A, 1000, 0, [cell('t', [1], 'a', 1)]));
  const before = await open();
  for (let n = 0; n < 500; n++) await client.apply(`files-${n}`, transactionAt(A, 1000, 0, [cell('t', [1], 'a', n)]));
  const growth = (await open()) - before;
  assert.ok(growth < 20, `${growth} more files open`);
});
