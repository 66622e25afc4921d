// The library of these tests, tested without a server: clocks, identities, and the model of the merge against
// every recorded history.
import test from 'node:test';
import assert from 'node:assert/strict';
import { Clock, compareHlc, highestHlc, hlc, readHlc, site, transactionIdOf } from './lib/ids.mjs';
import { cell, factSets, migration, remove, transactionAt, Writer } from './lib/facts.mjs';
import { rowIdentity } from './lib/identity.mjs';
import { Model, toTransactions } from './lib/model.mjs';
import { assertSameSnapshot, assertSameValues, factsWithTransaction, modelSnapshot, transactionIds,
  withoutGoneTables } from './lib/compare.mjs';
import { readHistories } from './lib/histories.mjs';
import { Random } from './lib/random.mjs';
import { nest } from './lib/server.mjs';

test('an HLC text is taken apart into what it was made of', () => {
  const text = hlc(1735689600441, 7, site(3), 9);
  assert.equal(text.length, 40);
  assert.deepEqual(readHlc(text), { wall: 1735689600441, counter: 7, site: site(3), op: 9 });
  assert.equal(transactionIdOf(text), `1735689600441:7:${site(3)}`);
});

test('HLCs are ordered by wall, counter, site and opSeq', () => {
  const sorted = [hlc(1, 0, site(9), 9), hlc(2, 0, site(1), 5), hlc(2, 0, site(2), 0), hlc(2, 1, site(0), 0),
    hlc(2, 1, site(0), 1), hlc(300, 0, site(0), 0)];
  assert.deepEqual([...sorted].reverse().sort(compareHlc), sorted);
  assert.equal(highestHlc(sorted), sorted.at(-1));
});

test('a clock ticks and receives by the rules', () => {
  let now = 1000;
  const clock = new Clock(site(1), () => now);
  assert.deepEqual(clock.tick(), { wall: 1000, counter: 0 });
  assert.deepEqual(clock.tick(), { wall: 1000, counter: 1 });
  clock.receive(hlc(1000, 5, site(2)));
  assert.deepEqual(clock.tick(), { wall: 1000, counter: 7 });
  clock.receive(hlc(2000, 65535, site(2)));
  assert.deepEqual([clock.wall, clock.counter], [2001, 0]);
  now = 5000;
  clock.receive(hlc(2000, 3, site(2)));
  assert.deepEqual([clock.wall, clock.counter], [5000, 0]);
});

test('a transaction numbers its facts in the order of the drafts', () => {
  const set = transactionAt(site(1), 50, 2, [migration('create_table', 't'), cell('t', [1], 'a', 1), remove('t', [2])]);
  assert.deepEqual(set.schemaMigrations.map((m) => readHlc(m.hlc).op), [0]);
  assert.deepEqual(set.changes.map((c) => readHlc(c.hlc).op), [1, 2]);
  assert.equal(set.hlc, set.changes[1].hlc);
  assert.equal(set.transactionId, `50:2:${site(1)}`);
});

test('row identities join what is equal and part what is not', () => {
  const same = [[[5], [5.0], [{ __bigint: '5' }], [{ __bigint: '005' }]], [[true], [1]], [[0], [-0], [false]],
    [['\ud800'], ['\ufffd']], [[{ __bin: 'AQI=' }], [{ __bin: 'AQI' }], [{ 0: 1, 1: 2 }]],
    [[{ a: 1, b: 2 }], [{ b: 2, a: 1 }]], [[1e21], [{ __bigint: '1000000000000000000000' }]]];
  for (const [first, ...others] of same) {
    for (const other of others) assert.equal(rowIdentity(other), rowIdentity(first), JSON.stringify(other));
  }
  assert.equal(new Set(same.map(([first]) => rowIdentity(first))).size, same.length);
  assert.notEqual(rowIdentity(['1']), rowIdentity([1]));
  assert.notEqual(rowIdentity([1, 2]), rowIdentity([12]));
  assert.notEqual(rowIdentity([null]), rowIdentity(['null']));
});

test('the model answers every step of every recorded history as the reference did', () => {
  for (const history of readHistories()) {
    const model = new Model();
    for (const [index, step] of history.steps.entries()) {
      const { changed, ...result } = model.apply(step.changes);
      assert.deepEqual(result, step.result, `${history.name} step ${index}`);
    }
    const sets = toTransactions(model.facts());
    assertSameValues(factsWithTransaction(sets), factsWithTransaction(factSets(history.expect.changes)), history.name);
    assertSameSnapshot(modelSnapshot(model), withoutGoneTables(history.expect.snapshot), history.name);
    for (const [reader, wanted] of Object.entries(history.expect.transactionsSeenBy)) {
      const others = sets.filter((set) => set.siteId !== reader);
      assert.deepEqual(transactionIds(others), [...new Set(wanted)].sort(), `${history.name} as ${reader}`);
    }
  }
});

test('the model does not care in which order a batch is given', () => {
  const random = new Random(7);
  for (const history of readHistories().slice(0, 40)) {
    const batch = history.steps.flatMap((step) => step.changes);
    const results = [batch, random.shuffle(batch), [...batch].reverse()].map((sets) => {
      const model = new Model();
      const { changed, ...result } = model.apply(sets);
      return { result, facts: toTransactions(model.facts()) };
    });
    assert.deepEqual(results[1], results[0]);
    assert.deepEqual(results[2], results[0]);
  }
});

test('random numbers repeat with their seed', () => {
  const draw = (seed) => Array.from({ length: 20 }, ((random) => () => random.below(1000))(new Random(seed)));
  assert.deepEqual(draw(5), draw(5));
  assert.notDeepEqual(draw(5), draw(6));
});

test('a writer never uses a clock reading twice', () => {
  const writer = new Writer(site(1));
  const ids = Array.from({ length: 500 }, () => writer.transaction(cell('t', [1], 'a', 1)).transactionId);
  assert.equal(new Set(ids).size, ids.length);
});

test('dotted settings become a nested file', () => {
  assert.deepEqual(nest({ 'sync.nudgeFacts': 1, 'sync.batchSize': 2, threads: 3 }),
    { sync: { nudgeFacts: 1, batchSize: 2 }, threads: 3 });
});
