// The recorded histories, replayed against the running server: every answer, every read and every snapshot
// must be what the reference server gave. SYNC_TEST_HISTORIES limits how many are replayed.
import test, { after } from 'node:test';
import assert from 'node:assert/strict';
import { assertSameSnapshot, assertSameValues, assertWellFramed, factsWithTransaction, snapshotContent, transactionIds,
  withoutGoneTables } from './lib/compare.mjs';
import { factSets } from './lib/facts.mjs';
import { readHistories } from './lib/histories.mjs';
import { HttpClient } from './lib/http.mjs';
import { site } from './lib/ids.mjs';
import { startServer } from './lib/server.mjs';

const STRANGER = site(999_999);
const server = await startServer({ after });
const histories = readHistories().slice(0, Number(process.env.SYNC_TEST_HISTORIES ?? Infinity));

async function replay(on, db, steps) {
  for (const [index, step] of steps.entries()) {
    const answer = await new HttpClient(on, step.site).post(db, step.changes);
    assert.equal(answer.status, step.status, `step ${index}: ${answer.text.slice(0, 300)}`);
    const { applied, skipped, conflicts, transactions } = answer.json.data;
    assert.deepEqual({ applied, skipped, conflicts, transactions }, step.result, `step ${index}`);
  }
}

async function assertReads(on, db, expect) {
  const whole = (await new HttpClient(on, STRANGER).readAll(db)).sets;
  assertSameValues(factsWithTransaction(whole), factsWithTransaction(factSets(expect.changes)), 'a stranger\'s read');
  for (const [reader, wanted] of Object.entries(expect.transactionsSeenBy)) {
    const seen = (await new HttpClient(on, reader).readAll(db)).sets;
    assert.deepEqual(transactionIds(seen), [...new Set(wanted)].sort(), `transactions seen by ${reader}`);
  }
  const chunks = await new HttpClient(on, STRANGER).snapshot(db);
  assertWellFramed(chunks);
  assertSameSnapshot(snapshotContent(chunks), withoutGoneTables(expect.snapshot), 'the snapshot');
}

for (const history of histories) {
  test(`history ${history.name}`, async () => {
    await replay(server, history.name, history.steps);
    await assertReads(server, history.name, history.expect);
  });
}

test('after a restart every history reads the same', async (t) => {
  const own = await startServer(t);
  const some = histories.filter((_, index) => index % 12 === 0);
  for (const history of some) await replay(own, history.name, history.steps);
  await own.restart();
  for (const history of some) await assertReads(own, history.name, history.expect);
});
