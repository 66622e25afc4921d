// The files of deploy/ that name parts of the server: what they name is there.
import test from 'node:test';
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, realpathSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { request } from './lib/http.mjs';
import { BINARY, runBinary, startServer } from './lib/server.mjs';

const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');
const READ = 'import sys, json, yaml; json.dump(list(yaml.safe_load_all(open(sys.argv[1]))), sys.stdout)';

function python(...args) {
  return execFileSync('python3', ['-c', ...args], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}

let reads = true;
try {
  python('import yaml');
} catch {
  reads = false;
}
const skip = reads ? false : 'there is no python3 with yaml';
const documents = (file) => JSON.parse(python(READ, path.join(ROOT, file)));

// The variables that the server knows, as its help names them.
async function variables() {
  const { stdout } = await runBinary(['--help']);
  return new Set(stdout.match(/\b(SYNC|S3|DISK)_[A-Z0-9_]+/g));
}

test('the manifests for Kubernetes hang together, and name what the server has', { skip }, async (t) => {
  const all = documents('deploy/kubernetes/sync-coordinator.yaml');
  for (const { apiVersion, kind, metadata } of all) assert.ok(apiVersion && kind && metadata.name, JSON.stringify({ kind, metadata }));
  assert.equal(new Set(all.map(({ kind, metadata }) => `${kind} ${metadata.name}`)).size, all.length, 'each once');
  const set = all.find(({ kind }) => kind === 'StatefulSet');
  const { spec, metadata } = set.spec.template;
  const [container] = spec.containers;
  assert.equal(set.spec.replicas, 3);
  assert.deepEqual(set.spec.selector.matchLabels, { app: metadata.labels.app });

  const services = all.filter(({ kind }) => kind === 'Service');
  const heads = services.filter(({ spec: { clusterIP } }) => clusterIP === 'None');
  assert.deepEqual(heads.map((service) => service.metadata.name), [set.spec.serviceName]);
  const pods = services.map((service) => service.spec.selector['statefulset.kubernetes.io/pod-name']).filter(Boolean);
  assert.deepEqual(pods.sort(), Array.from({ length: 3 }, (_, i) => `${set.metadata.name}-${i}`), 'an address for each instance');
  const port = container.ports[0];
  for (const service of services) assert.equal(service.spec.ports[0].port, port.containerPort);

  const known = await variables();
  const set_ = container.env.map(({ name }) => name).filter((name) => name !== 'POD_NAME');
  for (const name of set_) assert.ok(known.has(name), `${name} is no variable of the server`);
  const comments = readFileSync(path.join(ROOT, 'deploy/kubernetes/sync-coordinator.yaml'), 'utf8');
  for (const name of comments.match(/\bS3_[A-Z_]+\b/g)) assert.ok(known.has(name), `${name} is no variable of the server`);
  assert.deepEqual(container.envFrom, [{ secretRef: { name: 'sync-coordinator-s3' } }]);
  const mounts = container.volumeMounts.map(({ name }) => name);
  const volumes = [...spec.volumes, ...set.spec.volumeClaimTemplates.map((claim) => claim.metadata)].map(({ name }) => name);
  assert.deepEqual(mounts.sort(), volumes.sort());

  const server = await startServer(t);
  for (const probe of ['startupProbe', 'livenessProbe', 'readinessProbe']) {
    const { httpGet } = container[probe];
    assert.equal(httpGet.port, port.name);
    assert.equal((await request(`http://127.0.0.1:${new URL(server.base).port}`, { path: httpGet.path })).status, 200, httpGet.path);
  }
});

// The container's command, with the server's flags written out in place of starting it.
test('of the instances in Kubernetes the first one alone writes the shared log', { skip }, async () => {
  const set = documents('deploy/kubernetes/sync-coordinator.yaml').find(({ kind }) => kind === 'StatefulSet');
  const [container] = set.spec.template.spec.containers;
  const [shell, ...args] = container.command;
  assert.match(args.at(-1), /^exec sync-coordinator /m);
  args.push(args.pop().replace('exec sync-coordinator ', 'echo '));
  const flags = (name) => execFileSync(shell, args, { env: { ...process.env, POD_NAME: name }, encoding: 'utf8' }).trim();
  const given = Array.from({ length: 3 }, (_, i) => flags(`${set.metadata.name}-${i}`));
  assert.deepEqual(given, ['--object-log true', '--object-log false', '--object-log false']);
  for (const line of given) {
    const checked = await runBinary(['--check-config', ...line.split(' '), '--object-dir', '/nonexistent', '--coordinator-enabled', 'true',
      '--coordinator-url', `http://${set.metadata.name}-0.${set.spec.serviceName}:3000/sync`]);
    assert.equal(checked.code, 0, checked.stderr);
  }
});

test('the compose file is one, and names what the server has', { skip }, async () => {
  const [{ services, volumes }] = documents('deploy/compose.yaml');
  const known = await variables();
  for (const name of Object.keys(services['sync-coordinator'].environment)) assert.ok(known.has(name), name);
  assert.ok(existsSync(path.join(ROOT, services['sync-coordinator'].build.dockerfile)));
  assert.deepEqual(Object.keys(volumes), services['sync-coordinator'].volumes.map((mount) => mount.split(':')[0]));
});

// The package that a file belongs to. Where /lib is a link to /usr/lib, packages name their files by either.
function packageOf(file) {
  for (const name of [file, file.replace(/^\/usr/, '')]) {
    try {
      return execFileSync('dpkg-query', ['-S', name], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).split(':')[0];
    } catch {
      // by the other name, perhaps
    }
  }
  throw new Error(`${file} is of no package`);
}

// These packages, and all that are installed with them, as far as they are on this machine.
function withDependencies(names) {
  const table = execFileSync('dpkg-query', ['-W', '-f', '${Package}\t${Pre-Depends},${Depends}\n'], { encoding: 'utf8' });
  const needs = new Map(table.trim().split('\n').map((line) => line.split('\t')));
  const all = new Set(names);
  for (const name of all) {
    for (const word of (needs.get(name) ?? '').matchAll(/(?:^|[,|])\s*([a-z0-9][a-z0-9+.-]+)/g)) all.add(word[1]);
  }
  return all;
}

// Also what is opened while it runs: libwebsockets finds its event loop as a plug-in.
test('the image has the package of every library that the server and the hooks that ship use', async (t) => {
  const dockerfile = readFileSync(path.join(ROOT, 'deploy/Dockerfile'), 'utf8');
  const [, list] = /FROM debian:12-slim\nRUN [^&]*&& apt-get install (?:-[^ ]+ )*([^&]*)&&/.exec(dockerfile);
  const named = list.split(/[\s\\]+/).filter(Boolean);
  const there = withDependencies([...named, 'apt']); // apt: the image that it is made from has it

  const server = await startServer(t);
  const used = new Set(readFileSync(`/proc/${server.pid}/maps`, 'utf8').match(/\/\S+\.so[.0-9a-z]*$/gm));
  const build = path.dirname(BINARY);
  const hooks = readdirSync(path.join(build, 'hooks')).filter((name) => name.endsWith('.so')).map((name) => path.join(build, 'hooks', name));
  for (const file of [...hooks, path.join(build, 'sync-hook-host')]) {
    for (const [, library] of execFileSync('ldd', [file], { encoding: 'utf8' }).matchAll(/=> (\/\S+)/g)) used.add(realpathSync(library));
  }
  const files = [...used].filter((file) => !file.startsWith(build) && !/lib(asan|ubsan|tsan)\.so/.test(file));
  assert.ok(files.some((file) => file.includes('evlib_uv')), 'the plug-in is among them');
  assert.deepEqual([...new Set(files.map(packageOf))].filter((name) => !there.has(name)), [], 'packages that the image does not have');
});
