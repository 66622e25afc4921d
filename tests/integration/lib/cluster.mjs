// cluster.mjs -- several real servers on one object store, and what they did: the probe task of each (see
// server/coordinator/task_probe.c) appends to one file when it could lead and in which epoch.
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { request } from './http.mjs';
import { Server, runBinary, temporaryDirectory } from './server.mjs';
import { until } from './wait.mjs';

export const PATIENT_MS = 60_000; // elections go by leases of some seconds, and the machine may be busy

// Short times, so that a test takes seconds. Nothing is judged by them.
export const QUICK = {
  'coordinator.enabled': true,
  'coordinator.coldStart.skip': true,
  'coordinator.heartbeatIntervalMs': 500,
  'coordinator.heartbeatJitterMs': 50,
  'coordinator.leaseTimeoutMs': 2000,
  'coordinator.workerTimeoutMs': 3500,
  'coordinator.circuitBreaker.resetTimeoutMs': 1000,
};

// The tasks that come with the server, in their order.
export const BUILT_IN = ['retention', 'snapshot-schedule', 'clean-up', 'cluster-status', 'expired-workers'];

export class Cluster {
  // store: settings that name the object store. t: see startServer().
  constructor(t, { store, settings = {}, env = {} } = {}) {
    this.directory = temporaryDirectory();
    this.store = store ?? { 'object.dir': path.join(this.directory, 'objects') };
    // One server writes the shared log, and here none has to.
    this.settings = { ...QUICK, 'object.log': false, ...settings, ...this.store };
    this.probe = path.join(this.directory, 'probe.log');
    this.env = { SYNC_COORDINATOR_PROBE: this.probe, ...env };
    this.servers = [];
    this.dead = []; // for what they logged
    t.after(() => this.dispose());
  }

  // More servers, started at the same time.
  async add(count, { settings = {}, env = {}, ...more } = {}) {
    const fresh = Array.from({ length: count }, () =>
      new Server({ settings: { ...this.settings, ...settings }, env: { ...this.env, ...env }, ...more }));
    this.servers.push(...fresh);
    await Promise.all(fresh.map((server) => server.start()));
    return fresh;
  }

  // Those that answer. A server in a network of its own is marked `hidden` by whoever put it there.
  get running() {
    return this.servers.filter((server) => server.pid !== undefined && !server.stopped && !server.hidden);
  }

  // Waits until one of these servers says that it leads: {server, epoch, workerId}.
  async leader({ among, above = 0 } = {}) {
    return until(async () => {
      for (const server of among ?? this.running) {
        const election = await electionOf(server);
        if (election?.leads && election.epoch > above) {
          return { server, epoch: election.epoch, workerId: election.leader };
        }
      }
      return undefined;
    }, () => `a leader above epoch ${above}:\n${this.logs()}`, PATIENT_MS);
  }

  async kill(server) {
    this.servers.splice(this.servers.indexOf(server), 1);
    this.dead.push(server);
    await server.kill();
  }

  async pause(server) {
    server.stopped = true;
    server.signal('SIGSTOP');
    // It is stopped once the kernel says so.
    await until(() => /^State:\s+T/m.test(readFileSync(`/proc/${server.pid}/status`, 'utf8')), 'the server to stop');
  }

  resume(server) {
    server.signal('SIGCONT');
    server.stopped = false;
  }

  lines() {
    if (!existsSync(this.probe)) return [];
    return readFileSync(this.probe, 'utf8').split('\n').slice(0, -1).map((line) => line.split(' '));
  }

  // Waits for a line of the probe.
  async line(what, wanted) {
    return until(() => this.lines().find(wanted), () => `${what} in the probe's file:\n${this.logs()}`, PATIENT_MS);
  }

  // At no moment could two lead: in the order of the moments epochs never go back, and each has one worker.
  assertOneLeaderAtATime() {
    const holders = new Map();
    const leads = this.lines().filter(([kind]) => kind === 'lead')
      .map(([, us, epoch, worker]) => ({ us: Number(us), epoch: Number(epoch), worker }))
      .sort((a, b) => a.us - b.us);
    let last = { epoch: 0 };
    for (const lead of leads) {
      assert.ok(lead.epoch >= last.epoch, `${show(lead)} after ${show(last)}`);
      assert.equal(holders.get(lead.epoch) ?? lead.worker, lead.worker, `two workers in epoch ${lead.epoch}`);
      holders.set(lead.epoch, lead.worker);
      last = lead;
    }
    assert.ok(leads.length > 0, 'nobody ever led');
    return holders;
  }

  // The command line, with the same configuration.
  command(...args) {
    const { configFile } = this.running[0];
    return runBinary(['coordinator', ...args, '--config', configFile]);
  }

  logs() {
    return [...this.dead, ...this.servers].map((server, i) => `--- ${i}\n${server.logText()}`).join('\n');
  }

  async dispose() {
    for (const server of this.servers) this.resume(server);
    await Promise.all(this.servers.map((server) => server.dispose()));
  }
}

// The answer of GET coordinator; undefined while the server does not answer.
export async function statusOf(server) {
  try {
    return (await request(server.base, { path: '/coordinator' })).json.data;
  } catch (error) {
    if (server.pid === undefined) return undefined;
    throw error;
  }
}

export async function electionOf(server, name = 'global') {
  return (await statusOf(server))?.elections.find((election) => election.name === name);
}

function show({ us, epoch, worker }) {
  return `epoch ${epoch} of ${worker} at ${us}`;
}
