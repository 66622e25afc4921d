// Random batches against the model of the merge (lib/model.mjs): every result, every full read and every
// snapshot must agree. Few distinct keys, clocks and sites, so that ties and conflicts are common.
import test, { after } from 'node:test';
import assert from 'node:assert/strict';
import { assertSameSnapshot, assertSameValues, assertWellFramed, modelSnapshot, snapshotContent } from './lib/compare.mjs';
import { cell, factsOf, migration, remove, transactionAt } from './lib/facts.mjs';
import { HttpClient } from './lib/http.mjs';
import { site } from './lib/ids.mjs';
import { Model } from './lib/model.mjs';
import { freshDatabase } from './lib/names.mjs';
import { Random, runSeed } from './lib/random.mjs';
import { startServer } from './lib/server.mjs';
import { Session } from './lib/session.mjs';

const ROUNDS = 40;
const BATCHES = 25;
const WALL = 1_700_000_000_000;
const server = await startServer({ after });

const PKS = [[1], [1.0], [true], ['1'], [{ __bigint: '1' }], [null], [''], ['a', 1], [{ __bin: 'AQ==' }], [{ __bin: 'AQ' }],
  [{ a: 1, b: 2 }], [{ b: 2, a: 1 }], [9007199254740993], [{ __bigint: '9007199254740993' }], ['\ud800'], ['\ufffd'], [-0], [0]];
const VALUES = [null, 0, -1.5, true, 'text', '', 'naïve 🙂 \u0000', { deep: [1, { __bin: 5 }] }, [], { __bin: 'AQ==' },
  { __bigint: '-7' }];
const TABLES = ['t', 't:u', 't.u', ''];
const TYPES = ['create_table', 'drop_table', 'rename_table', 'add_column', 'drop_column', 'alter_column', 'add_index', 'drop_index'];

function randomDraft(random) {
  const table = random.pick(TABLES);
  if (random.chance(4)) {
    const type = random.pick(TYPES);
    return migration(type, table, random.below(3), type === 'rename_table' ? { fromTable: random.pick(TABLES) } : {});
  }
  if (random.chance(15)) {
    return remove(table, random.pick(PKS), random.chance(40) ? { priorRow: [random.pick(VALUES)].slice(random.below(2)) } : {});
  }
  return cell(table, random.pick(PKS), random.pick(['a', 'b', 'ключ']), random.pick(VALUES));
}

function randomBatch(random, earlier) {
  const sets = Array.from({ length: random.between(1, 4) }, () => {
    if (earlier.length > 0 && random.chance(25)) return random.pick(earlier);
    const drafts = Array.from({ length: random.between(1, 6) }, () => randomDraft(random));
    return transactionAt(site(random.between(1, 4)), WALL + random.below(400), random.below(3), drafts);
  });
  return random.shuffle(sets);
}

for (let round = 0; round < ROUNDS; round++) {
  const seed = runSeed() + round;
  test(`random batches agree with the model (SYNC_TEST_SEED=${seed})`, async () => {
    const random = new Random(seed);
    const db = freshDatabase('model');
    const session = await Session.open(server, { db, site: site(50) });
    const model = new Model({ ownSite: session.ack.serverSiteId });
    const earlier = [];
    for (let n = 0; n < BATCHES; n++) {
      const batch = randomBatch(random, earlier);
      earlier.push(...batch);
      const { changed, ...wanted } = model.apply(batch);
      let got;
      if (random.chance(50)) {
        const { type, requestId, ...result } = await session.apply(batch, n);
        got = result;
      } else {
        got = await new HttpClient(server, site(random.between(1, 4))).apply(db, batch);
      }
      assert.deepEqual(got, wanted, `batch ${n}: ${JSON.stringify(batch)}`);
    }
    const { sets } = await new HttpClient(server, site(51)).readAll(db);
    assertSameValues(factsOf(sets), model.facts(), 'all facts');
    const chunks = await session.chunks();
    assertWellFramed(chunks);
    assertSameSnapshot(snapshotContent(chunks), modelSnapshot(model), 'the snapshot');
    await session.close();
  });
}
