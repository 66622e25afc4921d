// compare.mjs -- equality of what a server says, free of the orders that the protocol leaves open.
import assert from 'node:assert/strict';
import { factsOf } from './facts.mjs';
import { goneTables } from './model.mjs';

// Keys sorted at every depth: two values are equal when their texts are.
export function canonical(value) {
  if (Array.isArray(value)) return value.map(canonical);
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(Object.keys(value).sort().map((key) => [key, canonical(value[key])]));
}

export function sortedTexts(values) {
  return values.map((value) => JSON.stringify(canonical(value))).sort();
}

// The same values in any order; a difference names only what is missing and what is too much.
export function assertSameValues(got, wanted, what) {
  const left = new Map();
  for (const text of sortedTexts(wanted)) left.set(text, (left.get(text) ?? 0) + 1);
  const surplus = [];
  for (const text of sortedTexts(got)) {
    const count = left.get(text) ?? 0;
    if (count > 0) left.set(text, count - 1);
    else surplus.push(text);
  }
  const missing = [...left].flatMap(([text, count]) => Array(count).fill(text));
  assert.deepEqual({ missing, surplus }, { missing: [], surplus: [] }, what);
}

// Facts with the transaction they travelled in: a transaction may come in several ChangeSets.
export function factsWithTransaction(sets) {
  return sets.flatMap((set) =>
    factsOf([set]).map((fact) => ({ ...fact, transaction: set.transactionId, site: set.siteId })));
}

export function transactionIds(sets) {
  return [...new Set(sets.map((set) => set.transactionId))].sort();
}

// A snapshot's chunks by content: tables keyed by [schema, table], tombstones and migrations without what
// differs from server to server.
export function snapshotContent(chunks) {
  const content = { tables: {}, tombstones: [], migrations: [] };
  for (const chunk of chunks) {
    const { schema, table } = chunk;
    if (chunk.type === 'schema-migration') content.migrations.push(chunk.migration);
    if (chunk.type === 'column-versions') {
      (content.tables[JSON.stringify([schema, table])] ??= []).push(...chunk.entries);
    }
    if (chunk.type === 'tombstone') {
      content.tombstones.push(...chunk.entries.map(({ createdAt, ...entry }) => ({ schema, table, ...entry })));
    }
  }
  return content;
}

// The content without the tables that its own migrations made gone.
export function withoutGoneTables(content) {
  const gone = goneTables(content.migrations);
  const kept = (schema, table) => !gone.has(JSON.stringify([schema, table]));
  return {
    tables: Object.fromEntries(Object.entries(content.tables).filter(([key]) => !gone.has(key))),
    tombstones: content.tombstones.filter(({ schema, table }) => kept(schema, table)),
    migrations: content.migrations,
  };
}

export function assertSameSnapshot(got, wanted, what) {
  for (const key of new Set([...Object.keys(got.tables), ...Object.keys(wanted.tables)])) {
    assertSameValues(got.tables[key] ?? [], wanted.tables[key] ?? [], `${what}: table ${key}`);
  }
  assertSameValues(got.tombstones, wanted.tombstones, `${what}: tombstones`);
  assertSameValues(got.migrations, wanted.migrations, `${what}: migrations`);
}

// The content that a snapshot of a model must have.
export function modelSnapshot(model) {
  const content = { tables: {}, tombstones: [], migrations: [...model.migrations.values()] };
  for (const { tombstone, cells } of model.rows.values()) {
    if (tombstone) {
      const { schema, table, pk, hlc, priorRow } = tombstone;
      content.tombstones.push({ schema, table, pk, hlc, ...(priorRow === undefined ? {} : { priorRow }) });
    }
    for (const { schema, table, column, hlc, value, pk } of cells.values()) {
      (content.tables[JSON.stringify([schema, table])] ??= []).push({ column, hlc, value, pk });
    }
  }
  return withoutGoneTables(content);
}

// Every rule of protocol section 7 about the frame of a snapshot: the order of its chunks and their counts.
export function assertWellFramed(chunks) {
  const letters = { header: 'h', 'schema-migration': 'm', 'table-start': '(', 'column-versions': 'c',
    'table-end': ')', tombstone: 't', footer: 'f' };
  assert.match(chunks.map(({ type }) => letters[type] ?? '?').join(''), /^hm*(\(c*\))*t*f$/, 'order of the chunks');
  const header = chunks[0];
  const footer = chunks.at(-1);
  assert.equal(header.snapshotFormat, 1);
  assert.equal(footer.snapshotId, header.snapshotId);
  let table;
  let totals = { tables: 0, entries: 0, migrations: 0 };
  for (const chunk of chunks) {
    if (chunk.type === 'schema-migration') totals.migrations += 1;
    if (chunk.type === 'table-start') {
      table = { schema: chunk.schema, table: chunk.table, entries: 0 };
      totals.tables += 1;
      assert.equal(typeof chunk.estimatedEntries, 'number');
    }
    if (chunk.type === 'column-versions') {
      assert.deepEqual([chunk.schema, chunk.table], [table.schema, table.table], 'entries of the table begun');
      assert.ok(chunk.entries.length >= 1 && chunk.entries.length <= 1000, `${chunk.entries.length} entries`);
      table.entries += chunk.entries.length;
      totals.entries += chunk.entries.length;
    }
    if (chunk.type === 'table-end') {
      assert.deepEqual([chunk.schema, chunk.table], [table.schema, table.table]);
      assert.equal(chunk.entriesWritten, table.entries);
    }
  }
  assert.equal(header.tableCount, totals.tables);
  assert.equal(header.migrationCount, totals.migrations);
  assert.equal(footer.totalTables, totals.tables);
  assert.equal(footer.totalEntries, totals.entries);
  assert.equal(footer.totalMigrations, totals.migrations);
}
