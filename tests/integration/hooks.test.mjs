// Every function of a hook, with every outcome, over HTTP and WebSocket.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cell, Writer } from './lib/facts.mjs';
import { metric, scripted, shipped } from './lib/hooks.mjs';
import { HttpClient } from './lib/http.mjs';
import { site } from './lib/ids.mjs';
import { runBinary, startServer } from './lib/server.mjs';
import { Session } from './lib/session.mjs';
import { until, within } from './lib/wait.mjs';

const UNDECIDED = 'a check on the server could not be made, try again';

function start(t, ...hooks) {
  return startServer(t, { settings: { hooks: hooks.map((hook) => (typeof hook === 'string' ? scripted(hook) : hook)) } });
}

// The error of a refused handshake, and how the connection ended.
async function refusedHandshake(server, { db = 'shop', token, options } = {}) {
  const session = await Session.open(server, { options });
  session.send({ type: 'handshake', databaseId: db, siteId: site(), token, protocolVersion: 1 });
  const error = await session.next('error');
  const { code } = await within(session.closed, 'the session to close');
  return { code: error.code, text: error.message, fatal: error.fatal, close: code };
}

const logged = (server, text) => until(() => server.logText().includes(text), () => `${text} in the log:\n${server.logText()}`);

// What each outcome of a call that lets somebody in looks like.
const outcomes = [
  { action: 'refuse', text: (name) => `no ${name}`, http: 'refused' },
  { action: 'fail', text: () => UNDECIDED, http: 'later' },
  { action: 'rubbish', text: () => UNDECIDED, http: 'later' },
];

for (const { action, text, http } of outcomes) {
  test(`authenticate: ${action}`, async (t) => {
    const server = await start(t, `authenticate=${action}`);
    const answer = await new HttpClient(server, site()).get('/shop/changes');
    assert.equal(answer.status, http === 'refused' ? 401 : 503);
    assert.equal(answer.json.error.code, http === 'refused' ? 'AUTH_FAILED' : 'UNAVAILABLE');
    assert.equal(answer.json.error.message, text('authenticate'));
    assert.equal(answer.headers['retry-after'], http === 'refused' ? undefined : '1');
    assert.deepEqual(await refusedHandshake(server), {
      code: http === 'refused' ? 'AUTH_FAILED' : 'MESSAGE_ERROR',
      text: text('authenticate'),
      fatal: http === 'refused',
      close: http === 'refused' ? 4001 : 1013,
    });
    assert.equal(await metric(server, 'sync_hook_calls_total{hook="hook_scripted"}'), 4, 'with valid_database_id');
    assert.equal(await metric(server, 'sync_hook_refusals_total{hook="hook_scripted"}'), http === 'refused' ? 2 : 0);
    assert.equal(await metric(server, 'sync_hook_failures_total{hook="hook_scripted"}'), http === 'refused' ? 0 : 2);
  });

  test(`valid_database_id: ${action}`, async (t) => {
    const server = await start(t, `valid=${action}`);
    const answer = await new HttpClient(server, site()).get('/shop/changes');
    assert.equal(answer.status, http === 'refused' ? 400 : 503);
    assert.equal(answer.json.error.code, http === 'refused' ? 'INVALID_DATABASE_ID' : 'UNAVAILABLE');
    const { code, fatal, close } = await refusedHandshake(server);
    assert.deepEqual([code, fatal, close], http === 'refused' ? ['AUTH_FAILED', true, 4001] : ['MESSAGE_ERROR', false, 1013]);
  });

  test(`authorize: ${action}`, async (t) => {
    const server = await start(t, `authorize=${action}`);
    const client = new HttpClient(server, site());
    const writer = new Writer(client.site);
    for (const answer of [
      await client.get('/shop/changes'),
      await client.get('/shop/snapshot'),
      await client.post('shop', [writer.transaction(cell('t', [1], 'a', 1))]),
    ]) {
      assert.equal(answer.status, http === 'refused' ? 403 : 503);
      assert.equal(answer.json.error.code, http === 'refused' ? 'NOT_AUTHORIZED' : 'UNAVAILABLE');
      assert.equal(answer.json.error.message, text('authorize'));
    }
    const { code, fatal, close } = await refusedHandshake(server);
    assert.deepEqual([code, fatal, close], http === 'refused' ? ['AUTH_FAILED', true, 4001] : ['MESSAGE_ERROR', false, 1013]);
    assert.equal(await metric(server, 'sync_databases'), 0, 'nothing was stored');
  });

  test(`client_connect: ${action}`, async (t) => {
    const server = await start(t, `client_connect=${action} trace=yes`);
    assert.equal((await new HttpClient(server, site()).get('/shop/changes')).status, 200, 'it is for sessions only');
    const { code, fatal, close } = await refusedHandshake(server);
    assert.deepEqual([code, fatal, close], http === 'refused' ? ['AUTH_FAILED', true, 4001] : ['MESSAGE_ERROR', false, 1013]);
    await server.stop();
    assert.doesNotMatch(server.logText(), /goodbye/, 'whoever was not let in is not seen off');
  });

  test(`before_apply_changes: ${action}`, async (t) => {
    const server = await start(t, `before=${action}`);
    const client = new HttpClient(server, site());
    const writer = new Writer(client.site);
    const changes = [writer.transaction(cell('t', [1], 'a', 1))];
    const answer = await client.post('shop', changes);
    assert.equal(answer.status, http === 'refused' ? 403 : 503);
    assert.equal(answer.json.error.message, text('before'));
    const session = await Session.open(server, { db: 'shop', site: client.site });
    const error = await session.request({ type: 'apply_changes', changes, requestId: 'r' }, 'error');
    assert.deepEqual([error.code, error.message, error.fatal], ['APPLY_CHANGES_ERROR', text('before'), false]);
    assert.equal((await session.changes()).changeSets.length, 0, 'the connection stays, and nothing was stored');
    assert.equal(await metric(server, 'sync_databases'), 0);
    await session.close();
  });
}

test('a grant that is not right lets nobody in', async (t) => {
  for (const [script, status, message] of [
    ['grant=endless', 503, UNDECIDED],
    ['grant=latin', 503, UNDECIDED],
    ['grant=metadata', 503, UNDECIDED],
    ['grant=site', 401, 'the token is for another site id'],
    ['expires=1', 401, 'what let you in has expired'],
    ['authenticate=silent', 401, 'the token is not valid'],
  ]) {
    const server = await start(t, script);
    const answer = await new HttpClient(server, site()).get('/shop/changes');
    assert.deepEqual([answer.status, answer.json.error.message], [status, message], script);
    assert.equal((await refusedHandshake(server)).text, message);
  }
});

test('authenticate is told who asks, over both transports', async (t) => {
  const server = await start(t, 'ask=user-agent');
  const client = new HttpClient(server, site(), { token: 'tok', headers: { 'User-Agent': 'tester/1' } });
  assert.equal((await client.get('/shop/changes')).json.error.message, `tok|${client.site}|0|127.0.0.1|0|tester/1`);
  const { text } = await refusedHandshake(server, { token: 't2', options: { headers: { 'USER-AGENT': 'browser' } } });
  assert.match(text, /^t2\|[-\w]{22}\|1\|127\.0\.0\.1\|0\|browser$/);
});

test('headers beside the usual ones are kept when they are named', async (t) => {
  const names = ['x-api-key', 'cookie', 'x-forwarded-for', 'x-mine'];
  const headers = Object.fromEntries(names.map((name) => [name, `value of ${name}`]));
  for (const name of [...names, 'x-other']) {
    const server = await startServer(t, { settings: { hooks: [scripted(`ask=${name}`)], hookHeaders: ['x-api-key', 'X-Mine'] } });
    const expected = name === 'x-other' ? '(none)' : `value of ${name}`;
    const answer = await new HttpClient(server, site(), { headers: { ...headers, 'x-other': 'not named' } }).get('/shop/changes');
    assert.ok(answer.json.error.message.endsWith(`|${expected}`), answer.json.error.message);
    const { text } = await refusedHandshake(server, { options: { headers: { ...headers, 'x-other': 'not named' } } });
    assert.ok(text.endsWith(`|${expected}`), text);
  }
});

test('more headers than may be kept are refused before they cost anything', async (t) => {
  const server = await startServer(t, { settings: { hooks: [scripted('')], 'limits.hookHeaderBytes': 2000 } });
  const headers = { cookie: 'c'.repeat(3000) };
  const answer = await new HttpClient(server, site(), { headers }).get('/shop/changes');
  assert.deepEqual([answer.status, answer.json.error.code], [431, 'HEADERS_TOO_LARGE']);
  await assert.rejects(Session.open(server, { options: { headers } }), /answered with 431/);
  assert.equal((await new HttpClient(server, site()).get('/shop/changes')).status, 200);
  assert.equal(await metric(server, 'sync_limit_hits_total{limit="hook_header_bytes"}'), 2);
});

test('authorize is told what is to be done, and by whom', async (t) => {
  const server = await start(t, 'tell=all user=ann');
  const client = new HttpClient(server, site(), { token: 'tok' });
  const writer = new Writer(client.site);
  const transaction = writer.transaction(cell('t', [1], 'a', 1), cell('t', [1], 'b', 2));
  const since = encodeURIComponent(transaction.hlc);
  const told = async (answer) => (await answer).json.error.message;
  assert.equal(await told(client.get('/shop/changes')), 'ann tok/ann shop 0 0 0 0');
  assert.match(await told(client.get(`/shop/changes?sinceHLC=${since}`)), /^ann tok\/ann shop 0 0 1 \d{13}$/);
  assert.equal(await told(client.post('shop', [transaction])), 'ann tok/ann shop 1 2 0 0');
  assert.equal(await told(client.get('/shop/snapshot')), 'ann tok/ann shop 2 0 0 0');
  assert.equal((await refusedHandshake(server, { token: 'ws' })).text, 'ann ws/ann shop 4 0 0 0');
});

test('a reader may read and not write, over WebSocket request by request', async (t) => {
  const server = await start(t, 'user=ann reader=ann snapshot=no');
  const session = await Session.open(server, { db: 'shop', site: site() });
  const changes = [new Writer(site()).transaction(cell('t', [1], 'a', 1))];
  const refused = await session.request({ type: 'apply_changes', changes, requestId: 'r' }, 'error');
  assert.deepEqual([refused.code, refused.message, refused.fatal], ['APPLY_CHANGES_ERROR', 'ann may not', false]);
  assert.deepEqual((await session.changes()).changeSets, []);
  const snapshot = await session.request({ type: 'get_snapshot' }, 'error');
  assert.deepEqual([snapshot.code, snapshot.message, snapshot.fatal], ['SNAPSHOT_ERROR', 'ann may not', false]);
  await session.close();
});

test('who may not read gets no pushes either', async (t) => {
  const server = await start(t, 'user=ann writer=ann');
  const open = await startServer(t, { settings: { hooks: [scripted('user=ann')] } });
  for (const [at, pushed] of [[server, false], [open, true]]) {
    const session = await Session.open(at, { db: 'shop', site: site() });
    const answer = await session.request({ type: 'get_changes' }, ['changes', 'error']);
    assert.equal(answer.type, pushed ? 'changes' : 'error');
    const client = new HttpClient(at, site());
    await client.apply('shop', new Writer(client.site).transaction(cell('t', [1], 'a', 1)));
    if (pushed) await session.next('push_changes');
    await session.apply([new Writer(site()).transaction(cell('t', [2], 'a', 1))]);
    await session.barrier();
    assert.ok(!session.types.includes('push_changes'));
    await session.close();
  }
});

test('a hook may call other database ids valid, and then the built-in rule does not apply', async (t) => {
  const server = await start(t, 'valid=ok');
  const client = new HttpClient(server, site());
  for (const [id, pathPart] of [['Bücher und mehr', 'B%C3%BCcher%20und%20mehr'], ['a/b', 'a/b']]) {
    await client.apply(pathPart, new Writer(client.site).transaction(cell('t', [1], 'a', id)));
    const session = await Session.open(server, { db: id, site: site() });
    assert.equal(session.ack.databaseId, id);
    assert.equal((await session.changes()).changeSets[0].changes[0].value, id);
    await session.close();
  }
  assert.equal((await refusedHandshake(server, { db: 'bell\u0007' })).code, 'AUTH_FAILED');
  assert.equal((await refusedHandshake(server, { db: 'x'.repeat(256) })).code, 'AUTH_FAILED');
  assert.equal((await client.get(`/${'x'.repeat(256)}/changes`)).status, 400);
  const digits = await start(t, 'valid=digits');
  assert.equal((await new HttpClient(digits, site()).get('/007/changes')).status, 200);
  assert.equal((await new HttpClient(digits, site()).get('/bond/changes')).status, 400);
});

test('client_connect and client_disconnect come once for each session', async (t) => {
  const server = await start(t, 'user=ann client_connect=ok trace=yes');
  const sessions = [];
  for (let i = 0; i < 3; i++) sessions.push(await Session.open(server, { db: 'shop', site: site() }));
  await sessions[0].close();
  await logged(server, 'goodbye ann');
  await sessions[1].terminate();
  await server.stop(); // ends the third
  const count = (text) => server.log.filter((line) => line.includes(text)).length;
  assert.equal(count('text=client_connect'), 3);
  assert.equal(count('goodbye ann'), 3);
});

// ---- decisions about changes

async function applied(t, script, transactions) {
  const server = await start(t, script);
  const client = new HttpClient(server, site());
  const listener = await Session.open(server, { db: 'shop', site: site() });
  await listener.changes();
  const result = await client.apply('shop', transactions(new Writer(client.site)));
  const stored = (await new HttpClient(server, site()).readAll('shop')).sets.flatMap((set) => set.changes);
  let pushed = [];
  if (result.applied > 0) pushed = (await listener.next('push_changes')).changeSets.flatMap((set) => set.changes);
  await listener.barrier();
  assert.ok(!listener.types.includes('push_changes'));
  await listener.close();
  const values = (facts) => facts.map((fact) => `${fact.table}.${fact.column}=${JSON.stringify(fact.value)}`).sort();
  assert.deepEqual(values(pushed), values(stored), 'what is pushed is what is stored');
  return { server, result, stored: values(stored) };
}

const both = (writer) => [
  writer.transaction(cell('public', [1], 'a', 1)),
  writer.transaction(cell('ledger', [1], 'sum', 2), cell('public', [2], 'a', 3)),
];

test('a rejected ChangeSet is told, and neither stored nor pushed', async (t) => {
  const { server, result, stored } = await applied(t, 'before=table:ledger', both);
  assert.deepEqual(result, {
    applied: 1, skipped: 0, conflicts: 0, transactions: 1,
    rejected: [{ reason: 'not this table', code: 'TABLE', table: 'ledger', column: 'sum' }],
  });
  assert.deepEqual(stored, ['public.a=1']);
  assert.equal(await metric(server, 'sync_changes_rejected_total'), 2);
  assert.equal(await metric(server, 'sync_changes_received_total'), 3);
  assert.equal(await metric(server, 'sync_hook_rejected_change_sets_total{hook="hook_scripted"}'), 1);
});

test('rejections come back over WebSocket too, and a full message is still followed by a nudge', async (t) => {
  const server = await startServer(t, { settings: { hooks: [scripted('before=table:ledger')], 'sync.nudgeFacts': 3 } });
  const session = await Session.open(server, { db: 'shop', site: site() });
  const result = await session.apply(both(new Writer(site())), 'q1');
  assert.deepEqual(result, {
    type: 'apply_result', requestId: 'q1', applied: 1, skipped: 0, conflicts: 0, transactions: 1,
    rejected: [{ reason: 'not this table', code: 'TABLE', table: 'ledger', column: 'sum' }],
  });
  await session.next('handshake_ack');
  await session.close();
});

test('all of a batch may be rejected', async (t) => {
  const { server, result, stored } = await applied(t, 'before=twice', both);
  assert.deepEqual(result, {
    applied: 0, skipped: 0, conflicts: 0, transactions: 0, rejected: [{ reason: 'first' }, { reason: 'first' }],
  });
  assert.deepEqual(stored, []);
  assert.equal(await metric(server, 'sync_changes_applied_total'), 0);
});

test('a dropped change is left out, and nobody is told', async (t) => {
  const { result, stored } = await applied(t, 'before=drop:ledger', both);
  assert.deepEqual(result, { applied: 2, skipped: 0, conflicts: 0, transactions: 2 });
  assert.deepEqual(stored, ['public.a=1', 'public.a=3']);
});

test('a replaced ChangeSet is stored as the hook wrote it', async (t) => {
  const writer = new Writer(site());
  const original = writer.transaction(cell('public', [1], 'a', 'secret'));
  const fresh = structuredClone(original);
  fresh.changes[0].value = 'masked';
  const { result, stored } = await applied(t, `before=json:${JSON.stringify(fresh)}`, () => [original]);
  assert.equal(result.applied, 1);
  assert.deepEqual(stored, ['public.a="masked"']);
});

test('what a hook must not decide refuses the whole batch', async (t) => {
  const writer = new Writer(site());
  const other = { ...writer.transaction(cell('t', [1], 'a', 1)), transactionId: 'another' };
  for (const script of ['before=wild', 'before=endless', 'before=json:{}', 'before=json:[]', `before=json:${JSON.stringify(other)}`]) {
    const server = await start(t, script);
    const answer = await new HttpClient(server, site()).post('shop', both(writer));
    assert.deepEqual([answer.status, answer.json.error.message], [503, UNDECIDED], script);
    assert.equal(await metric(server, 'sync_databases'), 0, script);
  }
});

test('a replacement whose clock is ahead is refused like any other', async (t) => {
  const writer = new Writer(site());
  const ahead = new Writer(writer.site, { tick: () => ({ wall: Date.now() + 3_600_000, counter: 0 }) });
  const original = writer.transaction(cell('t', [1], 'a', 1));
  const fresh = { ...ahead.transaction(cell('t', [1], 'a', 1)), transactionId: original.transactionId };
  const server = await start(t, `before=json:${JSON.stringify(fresh)}`);
  const answer = await new HttpClient(server, site()).post('shop', [original]);
  assert.deepEqual([answer.status, answer.json.error.code], [400, 'INVALID_BODY']);
});

test('after_apply_changes is told what was taken, once it is durable', async (t) => {
  const server = await start(t, 'user=ann before=table:ledger');
  const client = new HttpClient(server, site());
  await client.apply('shop', both(new Writer(client.site)));
  await logged(server, 'after ann sets=1 applied=1 rejected=1');
  const session = await Session.open(server, { db: 'shop', site: site() });
  await session.apply([new Writer(site()).transaction(cell('public', [7], 'a', 1))]);
  await logged(server, 'after ann sets=1 applied=1 rejected=0');
  await session.close();
});

// ---- several

test('the first refusal wins, and each hook sees what the one before approved', async (t) => {
  const server = await start(t, 'user=a before=table:ledger', 'user=b before=refuse');
  const answer = await new HttpClient(server, site()).post('shop', both(new Writer(site())));
  assert.deepEqual([answer.status, answer.json.error.message], [403, 'no before']);
  const chain = await start(t, 'user=a before=table:ledger', 'user=b before=drop:public tell=no', 'user=c');
  const result = await new HttpClient(chain, site()).apply('shop', both(new Writer(site())));
  assert.deepEqual([result.applied, result.transactions, result.rejected.length], [0, 1, 1]);
  await logged(chain, 'after abc sets=1 applied=0 rejected=1');
  assert.equal(await metric(chain, 'sync_hook_calls_total{hook="hook_scripted#2"}') > 0, true);
});

test('two hooks that disagree: whatever one refuses is refused', async (t) => {
  for (const hooks of [['authenticate=ok', 'authenticate=refuse'], ['authenticate=refuse', 'authenticate=ok']]) {
    const server = await start(t, ...hooks);
    assert.equal((await new HttpClient(server, site()).get('/shop/changes')).status, 401);
    assert.equal((await refusedHandshake(server)).code, 'AUTH_FAILED');
  }
});

test('built-in tokens and a hook have to agree', async (t) => {
  const settings = { 'auth.tokens': ['one', 'two'], hooks: [scripted('only=two trace=yes')] };
  const server = await startServer(t, { settings });
  const status = async (token) => (await new HttpClient(server, site(), { token }).get('/shop/changes')).status;
  assert.equal(await status('three'), 401);
  assert.doesNotMatch(server.logText(), /text=authenticate/, 'a token that the list does not know reaches no hook');
  assert.equal(await status('one'), 401);
  assert.equal(await status('two'), 200);
  assert.equal((await refusedHandshake(server, { token: 'one' })).text, 'not this token');
  const session = await Session.open(server, { db: 'shop', site: site(), token: 'two' });
  await session.close();
});

test('auth.mode custom starts with a hook that authenticates, and lets in whom it lets in', async (t) => {
  const server = await startServer(t, { settings: { 'auth.mode': 'custom', hooks: [scripted('only=key')] } });
  assert.equal((await new HttpClient(server, site(), { token: 'key' }).get('/shop/changes')).status, 200);
  assert.equal((await new HttpClient(server, site()).get('/shop/changes')).status, 401);
});

test('log lines and counters of a hook show in the log and the metrics', async (t) => {
  const server = await start(t, 'count=seen log=hello');
  await new HttpClient(server, site()).get('/shop/changes');
  await logged(server, 'hook=hook_scripted text=hello');
  assert.equal(await metric(server, 'sync_hook_counter_total{hook="hook_scripted",name="seen"}') >= 3, true);
  assert.equal(await metric(server, 'sync_hook_stuck_calls'), 0);
  assert.equal(await metric(server, 'sync_hook_dropped_notices_total'), 0);
  assert.match(server.logText(), /hook\.loaded hook=hook_scripted path=\S+ isolation=none timeout_ms=5000/);
});

// ---- the start

test('a hook that does not load stops the start, and the reason is told', async () => {
  const nameless = scripted('', { kind: 'nameless' }).path;
  for (const [hook, ...reasons] of [
    ['/nowhere/guard.so', '/nowhere/guard.so', 'No such file'],
    [nameless, 'hook_nameless.so', 'sync_hooks'],
    [scripted('', { kind: 'newer' }).path, 'hook_newer.so', '7', '1'],
    [`${scripted().path}:open=refuse`, 'hook_scripted.so', 'no open'],
    ['/etc/passwd', '/etc/passwd'],
  ]) {
    const { code, stderr } = await runBinary(['--port', '0', '--hook', hook]);
    assert.equal(code, 1, stderr);
    for (const reason of reasons) assert.ok(stderr.includes(reason), `${reason}: ${stderr}`);
    assert.doesNotMatch(stderr, /server\.listening/);
  }
});

test('auth.mode custom without a hook that authenticates stops the start', async () => {
  const auditLog = shipped('audit-log').path;
  const args = ['--port', '0', '--auth-mode', 'custom', '--hook', `${auditLog}:/tmp/audit-log-of-a-refused-start`];
  for (const more of [[], ['--check-config']]) {
    const { code, stderr } = await runBinary([...args, ...more]);
    assert.equal(code, 1);
    assert.match(stderr, /custom needs a hook that authenticates/);
  }
});

test('--check-config looks at the hooks without opening them', async () => {
  const good = await runBinary(['--check-config', '--hook', `${scripted().path}:open=refuse`]);
  assert.deepEqual([good.code, good.stderr], [0, '']);
  const bad = await runBinary(['--check-config', '--hook', '/nowhere/guard.so']);
  assert.equal(bad.code, 1);
  assert.match(bad.stderr, /\/nowhere\/guard\.so/);
});
