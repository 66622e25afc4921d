// facts.mjs -- builds ChangeSets the way a replica does: drafts of facts go in, a transaction with HLCs,
// opSeq numbers and a transaction id comes out.
import { Clock, hlc, highestHlc } from './ids.mjs';

export const SCHEMA = 'main';

// Drafts: facts without an HLC.
export function cell(table, pk, column, value, extra = {}) {
  return { type: 'column', schema: SCHEMA, table, pk, column, value, ...extra };
}

export function remove(table, pk, extra = {}) {
  return { type: 'delete', schema: SCHEMA, table, pk, ...extra };
}

export function migration(type, table, schemaVersion = 1, extra = {}) {
  return { type, schema: SCHEMA, table, ddl: `-- ${type} ${table}`, schemaVersion, ...extra };
}

export function row(table, pk, values) {
  return Object.entries(values).map(([column, value]) => cell(table, pk, column, value));
}

const isMigration = (draft) => draft.ddl !== undefined;

// One transaction of `siteId` at (wall, counter); opSeq follows the order of the drafts (lists of drafts are
// taken apart).
export function transactionAt(siteId, wall, counter, drafts) {
  const facts = drafts.flat().map((draft, op) => ({ ...draft, hlc: hlc(wall, counter, siteId, op) }));
  return {
    siteId,
    transactionId: `${wall}:${counter}:${siteId}`,
    hlc: highestHlc(facts.map((fact) => fact.hlc)) ?? hlc(wall, counter, siteId, 0),
    changes: facts.filter((fact) => !isMigration(fact)),
    schemaMigrations: facts.filter(isMigration),
  };
}

// A replica that only writes: each call is one transaction, at its clock's next tick.
export class Writer {
  constructor(siteId, clock = new Clock(siteId)) {
    this.site = siteId;
    this.clock = clock;
  }

  transaction(...drafts) {
    const { wall, counter } = this.clock.tick();
    return transactionAt(this.site, wall, counter, drafts);
  }
}

// What a reader looks at: the sets that hold facts, and the facts themselves.
export function factSets(sets) {
  return sets.filter((set) => set.changes.length + set.schemaMigrations.length > 0);
}

export function factsOf(sets) {
  return sets.flatMap((set) => [...set.changes, ...set.schemaMigrations]);
}

// The watermark that a client takes from an answer: the highest ChangeSet HLC, sets without facts included.
export function watermarkOf(sets) {
  return highestHlc(sets.map((set) => set.hlc));
}

export function sameFact(a, b) {
  return a.hlc === b.hlc && a.type === b.type;
}
