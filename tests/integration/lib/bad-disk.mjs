// bad-disk.mjs -- a server on a disk that fails when the test says so (tests/preload/bad_disk.c).
import { appendFileSync, readdirSync, readFileSync, renameSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { BINARY, startServer, temporaryDirectory } from './server.mjs';

const preload = (name) => path.join(path.dirname(BINARY), 'test-preload', `${name}.so`);

// For the environment of a server: loads one of our libraries first.
export function withPreload(name, env) {
  const asan = [process.env.ASAN_OPTIONS, 'verify_asan_link_order=0'].filter(Boolean).join(':');
  return { LD_PRELOAD: preload(name), ASAN_OPTIONS: asan, ...env };
}

export class BadDisk {
  constructor() {
    const directory = temporaryDirectory();
    this.control = path.join(directory, 'control');
    this.journal = path.join(directory, 'journal');
    this.dataDir = path.join(directory, 'data');
    this.generation = 0;
    writeFileSync(this.journal, '');
    this.heal();
  }

  async start(t, settings = {}) {
    const env = { BAD_DISK_CONTROL: this.control, BAD_DISK_JOURNAL: this.journal, BAD_DISK_DIR: this.dataDir };
    const server = await startServer(t, { settings, dataDir: this.dataDir, env: withPreload('bad_disk', env) });
    return server;
  }

  // The nth call of the kind from now on fails, and (times - 1) after it.
  arm(kind, nth = 1, times = 1e9, errno = 5) {
    this.generation += 1;
    // Renamed into place: a reader sees the old text or the new one.
    writeFileSync(`${this.control}.new`, `${this.generation} ${kind} ${nth} ${times} ${errno}\n`);
    renameSync(`${this.control}.new`, this.control);
  }

  heal() {
    this.arm('none');
  }

  get failures() {
    return readFileSync(this.journal, 'utf8').split('\n').filter((line) => line.startsWith('F ')).length;
  }

  // What a power cut leaves: of each file what was synced, and of the rest a part that `random` decides, whose
  // end may be anything. `keep`: nothing of the rest.
  cutPower(random, { nothing = false } = {}) {
    const durable = new Map();
    for (const line of readFileSync(this.journal, 'utf8').split('\n')) {
      const synced = /^S (\d+) (.*)$/.exec(line);
      const renamed = /^R (.*)\t(.*)$/.exec(line);
      if (synced) durable.set(synced[2], Number(synced[1]));
      if (renamed) {
        durable.set(renamed[2], durable.get(renamed[1]) ?? 0);
        durable.delete(renamed[1]);
      }
    }
    let cut = 0;
    for (const file of filesBelow(this.dataDir)) {
      const size = statSync(file).size;
      const from = Math.min(durable.get(file) ?? 0, size);
      if (from === size) continue;
      cut += 1;
      const keep = nothing ? from : from + random.below(size - from + 1);
      truncateSync(file, keep);
      if (!nothing && random.below(3) === 0) appendFileSync(file, Buffer.alloc(random.below(100), random.below(2) * 0xa5));
    }
    // What is there now is what the disk has.
    writeFileSync(this.journal, filesBelow(this.dataDir).map((file) => `S ${statSync(file).size} ${file}\n`).join(''));
    return cut;
  }
}

function filesBelow(directory) {
  return readdirSync(directory, { withFileTypes: true }).flatMap((entry) => {
    const name = path.join(directory, entry.name);
    return entry.isDirectory() ? filesBelow(name) : [name];
  });
}
