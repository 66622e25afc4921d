// A wall clock that steps by hours while the server runs, and a server that is stopped and goes on: nothing is
// lost, nobody is disconnected for it, and stamps, which look at no clock, only rise.
import test from 'node:test';
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { withPreload } from './lib/bad-disk.mjs';
import { cell, factsOf, transactionAt, Writer } from './lib/facts.mjs';
import { HttpClient } from './lib/http.mjs';
import { site } from './lib/ids.mjs';
import { Ledger } from './lib/ledger.mjs';
import { startServer, temporaryDirectory } from './lib/server.mjs';
import { Session } from './lib/session.mjs';
import { until } from './lib/wait.mjs';

const HOUR_MS = 3_600_000;
const DB = 'db';

async function serverWithClock(t) {
  const file = path.join(temporaryDirectory(), 'offset');
  const step = (ms) => writeFileSync(file, String(ms));
  step(0);
  const server = await startServer(t, { env: withPreload('bad_clock', { BAD_CLOCK_FILE: file }) });
  return { server, step };
}

test('the clock steps by hours, forward and back', async (t) => {
  const { server, step } = await serverWithClock(t);
  const ledger = new Ledger();
  const writer = new Writer(site(1));
  const reader = await Session.open(server, { db: DB, site: site(2) });
  const sender = await Session.open(server, { db: DB, site: writer.site });
  let watermark;
  let number = 0;
  for (const offset of [0, 5 * HOUR_MS, -5 * HOUR_MS, 24 * HOUR_MS, 0]) {
    step(offset);
    // The server's idea of now decides what is too far ahead: facts of its own past are always welcome.
    const wall = Date.now() + Math.min(0, offset);
    const set = transactionAt(writer.site, wall, (number += 1), [cell('t', [number], 'v', offset)]);
    const entry = ledger.begin(DB, [set]);
    await sender.apply([set]);
    ledger.acknowledge(entry);
    const pushed = await reader.next('push_changes');
    assert.deepEqual(factsOf(pushed.changeSets).map(({ pk }) => pk), [[number]]);
    // readAll() fails when a watermark goes back.
    const read = await new HttpClient(server, site(3)).readAll(DB, watermark);
    assert.equal(factsOf(read.sets).length, 1, `after a step to ${offset}`);
    watermark = read.watermark;
    await reader.barrier(); // no timer has taken the step for a silence
  }
  const { sets } = await new HttpClient(server, site(4)).readAll(DB);
  ledger.assertKept(DB, sets);
});

test('a fact is too far ahead of the clock as it is now, and welcome once the clock is right', async (t) => {
  const { server, step } = await serverWithClock(t);
  const client = new HttpClient(server, site(1));
  const set = transactionAt(site(1), Date.now(), 0, [cell('t', [1], 'v', 1)]);
  step(-2 * HOUR_MS);
  const refused = await client.post(DB, [set]);
  assert.equal(refused.status, 400);
  assert.match(refused.text, /ahead/);
  step(0);
  assert.equal((await client.apply(DB, set)).applied, 1);
});

test('stopped and continued under load: requests in flight are answered, nothing is lost', async (t) => {
  const server = await startServer(t);
  const ledger = new Ledger();
  const writers = Array.from({ length: 6 }, (_, n) => new Writer(site(10 + n)));
  for (let round = 0; round < 4; round++) {
    const sending = writers.map(async (writer, n) => {
      const client = new HttpClient(server, writer.site);
      for (let i = 0; i < 5; i++) {
        const set = writer.transaction(cell('t', [round, n, i], 'v', i));
        const entry = ledger.begin(DB, [set]);
        await client.apply(DB, set);
        ledger.acknowledge(entry);
      }
    });
    server.signal('SIGSTOP');
    await until(() => /^State:\s+T/m.test(readFileSync(`/proc/${server.pid}/status`, 'utf8')), 'the server to stand still');
    // While it stands still, more requests pile up in the kernel; all of them are answered afterwards.
    const late = new HttpClient(server, site(40)).request('GET', `/${DB}/changes`);
    server.signal('SIGCONT');
    await Promise.all(sending);
    assert.equal((await late).status, 200);
  }
  const { sets } = await new HttpClient(server, site(50)).readAll(DB);
  assert.equal(ledger.acknowledgedBatches, 4 * 6 * 5);
  ledger.assertKept(DB, sets);
});
