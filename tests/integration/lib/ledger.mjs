// ledger.mjs -- what was sent and what was acknowledged, for tests that kill the server: at the end every
// acknowledged fact must be there, no fact twice, and every batch wholly or not at all.
import assert from 'node:assert/strict';
import { factsOf } from './facts.mjs';

export class Ledger {
  constructor() {
    this.batches = []; // {db, keys, acknowledged}
  }

  // Every fact of `sets` must be the only one of its cell, so that none of them can rightly be replaced.
  begin(db, sets) {
    const batch = { db, keys: factsOf(sets).map(keyOf), acknowledged: false };
    this.batches.push(batch);
    return batch;
  }

  acknowledge(batch) {
    batch.acknowledged = true;
  }

  get acknowledgedBatches() {
    return this.batches.filter(({ acknowledged }) => acknowledged).length;
  }

  // `sets`: a whole read of the database.
  assertKept(db, sets) {
    const keys = factsOf(sets).map(keyOf);
    const stored = new Set(keys);
    assert.equal(stored.size, keys.length, `facts that are there twice in ${db}`);
    const lost = [];
    const torn = [];
    for (const batch of this.batches.filter((one) => one.db === db)) {
      const there = batch.keys.filter((key) => stored.has(key)).length;
      if (batch.acknowledged && there < batch.keys.length) lost.push(...batch.keys.filter((key) => !stored.has(key)));
      else if (there !== 0 && there !== batch.keys.length) torn.push(`${there} of ${batch.keys.length}: ${batch.keys[0]}`);
    }
    assert.deepEqual({ lost, torn }, { lost: [], torn: [] }, db);
  }
}

export function keyOf(fact) {
  return `${fact.type} ${JSON.stringify(fact.pk)} ${fact.hlc}`;
}
