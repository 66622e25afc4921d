// model.mjs -- the merge rules of protocol section 3 in their plainest form: what a server must answer to a
// batch, and which facts are current after it. Tests compare the server with it, and scripted clients keep
// their replicas in it.
import { compareHlc, readHlc, transactionIdOf } from './ids.mjs';
import { rowIdentity } from './identity.mjs';

const MIGRATIONS_OF_INDEXES = new Set(['add_index', 'drop_index']);

export class Model {
  constructor({ ownSite, allowResurrection = false } = {}) {
    this.ownSite = ownSite; // facts of this site are skipped
    this.allowResurrection = allowResurrection;
    this.rows = new Map(); // row key -> {tombstone?, cells: column -> fact}
    this.migrations = new Map(); // migration key -> migration
  }

  // The result that protocol section 3 asks for; `changed` lists the facts that are new in the state.
  apply(sets) {
    const verdicts = [];
    for (const set of sets) {
      for (const fact of set.schemaMigrations ?? []) verdicts.push(this.#judgeMigration(fact));
      for (const fact of set.changes) verdicts.push(this.#judge(fact));
    }
    this.#letDeletesWin(verdicts);
    const result = { applied: 0, skipped: 0, conflicts: 0, transactions: sets.length };
    for (const { outcome } of verdicts) result[outcome] += 1;
    const changed = this.#write(verdicts.filter(({ outcome }) => outcome === 'applied'));
    return { ...result, changed };
  }

  // All current facts.
  facts() {
    const out = [...this.migrations.values()];
    for (const { tombstone, cells } of this.rows.values()) {
      if (tombstone) out.push(tombstone);
      out.push(...cells.values());
    }
    return out;
  }

  // Current facts above an HLC, lowest first, as whole transactions.
  transactionsAfter(hlc) {
    const facts = this.facts().filter((fact) => hlc === undefined || compareHlc(fact.hlc, hlc) > 0);
    return toTransactions(facts);
  }

  #judgeMigration(fact) {
    const kind = MIGRATIONS_OF_INDEXES.has(fact.type) ? 'index' : 'table';
    const key = JSON.stringify([fact.schema, kind, fact.table, fact.schemaVersion]);
    const stored = this.migrations.get(key);
    const skip = this.#isOwn(fact) || (stored && compareHlc(stored.hlc, fact.hlc) >= 0);
    return { fact, key, kind: 'migration', outcome: skip ? 'skipped' : 'applied' };
  }

  #judge(fact) {
    const key = JSON.stringify([fact.schema, fact.table, rowIdentity(fact.pk)]);
    const row = this.rows.get(key);
    const verdict = { fact, key, kind: fact.type, outcome: 'applied' };
    if (this.#isOwn(fact)) {
      verdict.outcome = 'skipped';
    } else if (fact.type === 'delete') {
      if (row?.tombstone && compareHlc(row.tombstone.hlc, fact.hlc) >= 0) verdict.outcome = 'skipped';
    } else {
      const stored = row?.cells.get(fact.column);
      if (stored && compareHlc(stored.hlc, fact.hlc) >= 0) verdict.outcome = 'conflicts';
      else if (row?.tombstone && this.#deleteWins(fact, row.tombstone)) verdict.outcome = 'skipped';
    }
    return verdict;
  }

  #isOwn(fact) {
    return this.ownSite !== undefined && readHlc(fact.hlc).site === this.ownSite;
  }

  #deleteWins(fact, tombstone) {
    return !this.allowResurrection || compareHlc(fact.hlc, tombstone.hlc) <= 0;
  }

  // A delete that was applied turns the same row's applied cells of the batch into skipped.
  #letDeletesWin(verdicts) {
    const deletes = new Map();
    for (const { fact, key, kind, outcome } of verdicts) {
      if (kind !== 'delete' || outcome !== 'applied') continue;
      const other = deletes.get(key);
      if (!other || compareHlc(fact.hlc, other.hlc) > 0) deletes.set(key, fact);
    }
    for (const verdict of verdicts) {
      if (verdict.kind !== 'column' || verdict.outcome !== 'applied') continue;
      const tombstone = deletes.get(verdict.key);
      if (tombstone && this.#deleteWins(verdict.fact, tombstone)) verdict.outcome = 'skipped';
    }
  }

  // Of several applied facts for one place the highest HLC is written.
  #write(verdicts) {
    const winners = new Map();
    for (const verdict of verdicts) {
      const place = JSON.stringify([verdict.kind, verdict.key, verdict.fact.column]);
      const other = winners.get(place);
      if (!other || compareHlc(verdict.fact.hlc, other.fact.hlc) > 0) winners.set(place, verdict);
    }
    const byKind = (kind) => [...winners.values()].filter((verdict) => verdict.kind === kind);
    const changed = [];
    for (const { fact, key } of byKind('migration')) {
      this.migrations.set(key, fact);
      changed.push(fact);
    }
    for (const { fact, key } of byKind('delete')) {
      const row = this.#row(key);
      row.tombstone = fact;
      row.cells.clear();
      changed.push(fact);
    }
    for (const { fact, key } of byKind('column')) {
      const { cells } = this.#row(key);
      const stored = withPrior(fact, cells.get(fact.column));
      cells.set(fact.column, stored);
      changed.push(stored);
    }
    return changed;
  }

  #row(key) {
    let row = this.rows.get(key);
    if (!row) this.rows.set(key, (row = { tombstone: undefined, cells: new Map() }));
    return row;
  }
}

// The cell stored remembers what it replaced here, whatever the sender said that it had replaced.
function withPrior(fact, replaced) {
  const { priorHlc, priorValue, ...stored } = fact;
  return replaced ? { ...stored, priorHlc: replaced.hlc, priorValue: replaced.value } : stored;
}

// Facts as ChangeSets, one a transaction, lowest HLC first.
export function toTransactions(facts) {
  const sets = new Map();
  for (const fact of [...facts].sort((a, b) => compareHlc(a.hlc, b.hlc))) {
    const id = transactionIdOf(fact.hlc);
    let set = sets.get(id);
    if (!set) {
      set = { siteId: readHlc(fact.hlc).site, transactionId: id, hlc: fact.hlc, changes: [], schemaMigrations: [] };
      sets.set(id, set);
    }
    set.hlc = fact.hlc;
    (fact.ddl === undefined ? set.changes : set.schemaMigrations).push(fact);
  }
  return [...sets.values()];
}

// Tables that are gone after these migrations (protocol section 7), as [schema, table] texts.
export function goneTables(migrations) {
  const gone = new Set();
  const name = (schema, table) => JSON.stringify([schema, table]);
  for (const m of [...migrations].sort((a, b) => compareHlc(a.hlc, b.hlc))) {
    if (m.type === 'drop_table') gone.add(name(m.schema, m.table));
    if (m.type === 'create_table') gone.delete(name(m.schema, m.table));
    if (m.type === 'rename_table') {
      if (m.fromTable !== undefined) gone.add(name(m.schema, m.fromTable));
      gone.delete(name(m.schema, m.table));
    }
  }
  return gone;
}
