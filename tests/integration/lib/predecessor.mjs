// predecessor.mjs -- what the predecessor leaves in a bucket, and how it is configured.
import { gzipSync } from 'node:zlib';
import { SCHEMA } from './facts.mjs';
import { site } from './ids.mjs';

// Its environment, from the settings of a server of ours.
export function variables(settings) {
  return {
    S3_BUCKET: settings['s3.bucket'],
    S3_REGION: settings['s3.region'],
    S3_ENDPOINT: settings['s3.endpoint'],
    S3_ACCESS_KEY_ID: settings['s3.accessKeyId'],
    S3_SECRET_ACCESS_KEY: settings['s3.secretAccessKey'],
    S3_FORCE_PATH_STYLE: String(settings['s3.forcePathStyle']),
    S3_KEY_PREFIX: settings['s3.keyPrefix'],
  };
}

export function batch(db, id, sets) {
  return JSON.stringify({ batchId: id, databaseId: db, timestamp: 1, clientId: 'c', changes: sets, metadata: {} });
}

// The facts of ChangeSets, all of one table.
export function snapshot(db, id, table, sets) {
  const [cells, deletes] = ['column', 'delete'].map((type) => sets.flatMap(({ changes }) => changes.filter((fact) => fact.type === type)));
  const migrations = sets.flatMap(({ schemaMigrations }) => schemaMigrations);
  const at = { schema: SCHEMA, table };
  const chunks = [
    { type: 'header', siteId: site(1), hlc: sets[0].hlc, tableCount: 1, migrationCount: migrations.length, snapshotId: id, snapshotFormat: 1 },
    ...migrations.map((migration) => ({ type: 'schema-migration', migration })),
    { type: 'table-start', ...at, estimatedEntries: cells.length },
    { type: 'column-versions', ...at, entries: cells.map(({ pk, column, value, hlc }) => ({ pk, column, value, hlc })) },
    { type: 'table-end', ...at, entriesWritten: cells.length },
    { type: 'tombstone', ...at, entries: deletes.map(({ pk, hlc }) => ({ pk, hlc, createdAt: 1 })) },
    { type: 'footer', snapshotId: id, totalTables: 1, totalEntries: cells.length, totalMigrations: migrations.length },
  ];
  return gzipSync(JSON.stringify({ snapshotId: id, databaseId: db, timestamp: 5, chunks }));
}
