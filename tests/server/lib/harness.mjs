// Starts servers, each in a folder and a store of its own, on a port the system
// picks; fills the store by the CLI; stops them by pid and looks at what is left.
import { spawn } from 'node:child_process';
import { createHmac, randomBytes } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { request } from './http.mjs';
import { sharedPostgres } from './postgres.mjs';
import { Queue, within } from './queue.mjs';

export const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../../..');
export const SKYBUILD = path.resolve(ROOT, process.env.SKYBUILD ?? 'build/release/skybuild');
export const ECHO = path.resolve(ROOT, process.env.SKYBUILD_ECHO ?? path.join(path.dirname(SKYBUILD), 'echo-server'));
const WRAP = (process.env.SKYBUILD_WRAP ?? '').split(' ').filter(Boolean); // "valgrind …", for servers only
export const SANITIZED = process.env.SKYBUILD_SANITIZED ?? ''; // "address", "thread", "valgrind" or ""
const START_MS = Number(process.env.TEST_START_MS ?? 20000);

const SANITIZER_ENV = {
  ASAN_OPTIONS: 'detect_leaks=1:exitcode=99:abort_on_error=0',
  UBSAN_OPTIONS: 'print_stacktrace=1:halt_on_error=1',
  TSAN_OPTIONS: 'halt_on_error=0:exitcode=99:second_deadlock_stack=1',
};
const REPORT = /ERROR: \w+Sanitizer|runtime error:|WARNING: ThreadSanitizer|LeakSanitizer has encountered|are definitely lost|==\d+== (?:Invalid|Conditional|Use of|Syscall)|Assertion .* failed/;

// Settings of the person who runs the tests must not leak into the server's.
function cleanEnv(extra) {
  const env = { ...SANITIZER_ENV };
  for (const key of ['PATH', 'HOME', 'LANG', 'TMPDIR', 'LD_LIBRARY_PATH']) if (process.env[key]) env[key] = process.env[key];
  for (const [key, value] of Object.entries(extra)) if (value !== undefined && value !== null) env[key] = String(value);
  return env;
}

export function tempDir() {
  return mkdtempSync(path.join(tmpdir(), 'skybuild-test-'));
}

// Run a program to its end: {code, stdout, stderr}.
export function run(file, args, { env = {}, input = '', cwd, timeout = START_MS * 2 } = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, { env: cleanEnv(env), cwd, stdio: ['pipe', 'pipe', 'pipe'] });
    let stdout = '', stderr = '';
    child.stdout.on('data', (d) => (stdout += d));
    child.stderr.on('data', (d) => (stderr += d));
    child.stdin.on('error', () => {});
    child.stdin.end(input);
    const timer = setTimeout(() => child.kill('SIGKILL'), timeout);
    child.on('error', (e) => (clearTimeout(timer), reject(e)));
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      resolve({ code: code ?? `signal ${signal}`, stdout, stderr });
    });
  });
}

// A JSON Web Token, made here so that a test can also make a bad one.
export function jwt(claims, { secret, alg = 'HS256', header = {}, ttl = 3600 } = {}) {
  const part = (o) => Buffer.from(typeof o === 'string' ? o : JSON.stringify(o)).toString('base64url');
  const now = Math.floor(Date.now() / 1000);
  const body = typeof claims === 'string' ? claims : { iat: now, exp: now + ttl, ...claims };
  const signed = `${part({ alg, typ: 'JWT', ...header })}.${part(body)}`;
  return `${signed}.${createHmac(`sha${alg.slice(2)}`, secret).update(signed).digest('base64url')}`;
}

// A test file that ends early takes its servers with it.
const running = new Set();
process.on('exit', () => running.forEach((p) => p.child.kill('SIGKILL')));

// Follow a child's stdout and stderr line by line until it says where it listens.
class Process {
  constructor(file, args, { env, cwd, name }) {
    this.name = name;
    this.lines = [];
    this.log = new Queue(`${name} log`);
    this.child = spawn(file, args, { env: cleanEnv(env), cwd, stdio: ['ignore', 'pipe', 'pipe'] });
    this.pid = this.child.pid;
    running.add(this);
    // What is under test may not keep the test's own process from ending.
    this.child.unref();
    for (const stream of [this.child.stdout, this.child.stderr]) {
      let rest = '';
      stream.unref?.();
      stream.setEncoding('utf8');
      stream.on('data', (text) => {
        const parts = (rest + text).split('\n');
        rest = parts.pop();
        for (const line of parts) this.take(line);
      });
      stream.on('end', () => rest && this.take(rest));
    }
    this.exited = new Promise((resolve, reject) => {
      this.child.on('error', reject);
      this.child.on('close', (code, signal) => {
        this.code = code ?? `signal ${signal}`;
        running.delete(this);
        this.log.end(`the process ended with ${this.code}`);
        resolve(this.code);
      });
    });
    this.exited.catch(() => {});
  }

  take(line) {
    this.lines.push(line);
    this.log.push(line);
  }

  async listening(timeout = START_MS) {
    const line = await this.log
      .next((l) => /Listening on https?:\/\/\S+/.test(l), { timeout, what: 'the line "Listening on http://…"' })
      .catch((e) => {
        this.child.kill('SIGKILL');
        const error = new Error(`${this.name} did not start: ${e.message}\n${this.lines.slice(-20).join('\n')}`);
        console.error(error.message); // a failed before() is not told by every runner
        throw error;
      });
    this.url = line.match(/Listening on (https?:\/\/[^\s"]+)/)[1];
    this.port = Number(new URL(this.url).port);
    return this;
  }

  // Lines of the log so far that match.
  logged(re) {
    return this.lines.filter((l) => re.test(l));
  }

  waitLog(re, opts) {
    return this.log.next((l) => re.test(l), { what: `a log line like ${re}`, ...opts });
  }

  alive() {
    return this.code === undefined;
  }

  fds() {
    return readdirSync(`/proc/${this.pid}/fd`).length;
  }

  // KiB by the kernel's own count: {rss, pss, private}
  memory() {
    const text = readFileSync(`/proc/${this.pid}/smaps_rollup`, 'utf8');
    const kib = (key) => Number(text.match(new RegExp(`^${key}:\\s+(\\d+)`, 'm'))?.[1] ?? 0);
    return { rss: kib('Rss'), own: kib('Anonymous') };
  }

  async end(signal = 'SIGTERM', timeout = 15000) {
    const early = !this.alive() && !this.stopped;
    this.stopped = true;
    if (this.alive()) {
      this.child.kill(signal);
      await within(this.exited, timeout, `${this.name}: end after ${signal}`).catch((e) => {
        this.child.kill('SIGKILL');
        throw new Error(`${e.message}\nlast lines:\n${this.lines.slice(-15).join('\n')}`);
      });
    }
    const at = this.lines.findIndex((l) => REPORT.test(l));
    if (at >= 0) throw new Error(`${this.name}: sanitizer report:\n${this.lines.slice(at, at + 60).join('\n')}`);
    if (early || this.code !== 0)
      throw new Error(`${this.name} ended with ${this.code}${early ? ' before it was told to' : ', not 0'}:\n${this.lines.slice(-25).join('\n')}`);
    if (existsSync(`/proc/${this.pid}`)) throw new Error(`${this.name}: process ${this.pid} is still there`);
  }

  // kill -9: it writes nothing down and tells nobody.
  async kill() {
    this.stopped = this.wasKilled = true;
    this.child.kill('SIGKILL');
    const code = await this.exited;
    if (code !== 'signal SIGKILL') throw new Error(`${this.name} had ended with ${code} before it was killed`);
  }
}

// What Prometheus text says of that name, labels included: 'skybuild_http_refused_total'.
export function metricOf(text, name) {
  const escaped = name.replace(/[^\w]/g, '\\$&');
  return Number(text.match(new RegExp(`^${escaped} (\\S+)$`, 'm'))?.[1]);
}

export const PASSWORD = (user) => `correct-horse-${user}`;

// People and projects that most tests need:
// proj-123: anna owns, ben edits, eve comments, cleo looks on; dora is no member.
// proj-456: ben owns, anna edits.
export async function fillStore(cli) {
  for (const user of ['anna', 'ben', 'cleo', 'dora', 'eve'])
    await cli(['user', 'add', user, '--name', user[0].toUpperCase() + user.slice(1), '--password-stdin'], { input: `${PASSWORD(user)}\n` });
  await cli(['project', 'add', 'proj-123', '--name', 'Riverside Tower', '--owner', 'anna']);
  await cli(['project', 'add', 'proj-456', '--name', 'North Depot', '--owner', 'ben']);
  await cli(['project', 'share', 'proj-123', 'ben', 'editor']);
  await cli(['project', 'share', 'proj-123', 'eve', 'commenter']);
  await cli(['project', 'share', 'proj-123', 'cleo', 'viewer']);
  await cli(['project', 'share', 'proj-456', 'anna', 'editor']);
}

export class Server extends Process {
  constructor(dir, env) {
    const [file, ...args] = [...WRAP, SKYBUILD, 'serve'];
    super(file, args, { env, cwd: dir, name: 'skybuild' });
    this.dir = dir;
    this.env = env;
  }

  cli(args, opts = {}) {
    return cliIn(this.dir, this.env, args, opts);
  }

  token(user, { claims = {}, ...opts } = {}) {
    return jwt({ sub: user, ...claims }, { secret: this.env.JWT_SECRET, ...opts });
  }

  // One REST call: {status, headers, body, json}
  api(method, target, { as, key, body, headers = {} } = {}) {
    const auth = as ? this.token(as) : key === true ? this.env.SERVICE_API_KEY : key;
    return request(this.port, method, target, {
      headers: { ...(auth ? { authorization: `Bearer ${auth}` } : {}), ...headers },
      json: body,
    });
  }

  broadcast(what, body, headers = {}) {
    return this.api('POST', `/api/broadcast/${what}`, { key: true, body, headers });
  }

  async status() {
    return (await request(this.port, 'GET', '/ws/status')).json;
  }

  async metric(name, opts) {
    return metricOf((await request(this.port, 'GET', '/metrics', opts)).body, name);
  }

  // All durable events of a project behind a number, page by page; throws when a number is missing.
  async history(project = 'proj-123', { after = 0, as = 'anna' } = {}) {
    const events = [];
    for (let next = after; next !== null; ) {
      const { status, json, body } = await this.api('GET', `/api/projects/${project}/events?after=${next}&limit=1000`, { as });
      if (status !== 200) throw new Error(`the history of ${project}: ${status} ${body}`);
      events.push(...json.items);
      next = json.next_after;
    }
    const gap = events.findIndex((e, i) => e.seq !== after + 1 + i);
    if (gap >= 0) throw new Error(`the history of ${project} is not dense: ${events[gap].seq} in the place of ${after + 1 + gap}`);
    return events;
  }

  // End it, and its folder; throws when the end was not clean.
  async stop(signal) {
    try {
      await this.end(signal);
    } finally {
      rmSync(this.dir, { recursive: true, force: true });
    }
  }
}

export async function cliIn(dir, env, args, { input, fails = false, env: more = {} } = {}) {
  const got = await run(SKYBUILD, args, { env: { ...env, ...more }, cwd: dir, input });
  if (REPORT.test(got.stderr)) throw new Error(`skybuild ${args[0]}: sanitizer report:\n${got.stderr.slice(0, 4000)}`);
  if (!fails && got.code !== 0)
    throw new Error(`skybuild ${args.join(' ')} ended with ${got.code}: ${got.stderr || got.stdout}`);
  return got;
}

// The store of a server in dir.  With TEST_DATABASE=postgres it is a schema of a real
// PostgreSQL, with the folder's name.
function databaseUrl(dir) {
  if (process.env.TEST_DATABASE === 'postgres') return sharedPostgres().url(path.basename(dir));
  return `sqlite:///${path.join(dir, 'skybuild.db')}`;
}

export function serverEnv(dir, env = {}) {
  return {
    HOST: '127.0.0.1',
    PORT: '0',
    DATABASE_URL: env.DATABASE_URL ?? databaseUrl(dir),
    JWT_SECRET: randomBytes(24).toString('hex'),
    SERVICE_API_KEY: randomBytes(12).toString('hex'),
    WEB_ROOT: path.join(ROOT, 'web/page'),
    CLIENT_DIR: path.join(ROOT, 'web/node_modules/socket.io-client/dist'),
    SHUTDOWN_TIMEOUT: '5',
    ...env,
  };
}

// fill: 'people' (fillStore), 'demo' (skybuild demo), 'none', or a function of the CLI.
export async function startServer({ env = {}, fill = 'people', dir = tempDir() } = {}) {
  if (!existsSync(SKYBUILD)) throw new Error(`no server at ${path.relative(ROOT, SKYBUILD)}: build it, or name it by SKYBUILD`);
  const full = serverEnv(dir, env);
  const cli = (args, opts) => cliIn(dir, full, args, opts);
  if (fill === 'people') await fillStore(cli);
  else if (fill === 'demo') await cli(['demo']);
  else if (typeof fill === 'function') await fill(cli);
  return new Server(dir, full).listening();
}

// The echo server of the protocol tests: ours in C on libsio, or Node's own
// (TARGET=reference) to see that a test asks for what the protocol says.
export const REFERENCE = process.env.TARGET === 'reference';

export async function startEcho(env = {}) {
  const file = REFERENCE ? process.execPath : ECHO;
  const args = REFERENCE ? [path.join(ROOT, 'tests/server/lib/reference.mjs')] : [];
  if (!existsSync(file)) throw new Error(`no echo server at ${path.relative(ROOT, file)}: make builds it, or name it by SKYBUILD_ECHO`);
  return new Process(file, args, { env: { PORT: '0', ...env }, name: 'echo server' }).listening();
}

// Several servers in one process, joined by the bus in memory; .urls has one for each.
export async function startCluster(nodes, { redis } = {}) {
  const file = path.join(path.dirname(SKYBUILD), 'cluster-server');
  if (!existsSync(file)) throw new Error(`no cluster server at ${path.relative(ROOT, file)}: make builds it`);
  const server = await new Process(file, ['--nodes', String(nodes), ...(redis ? ['--redis', redis] : [])], { env: {}, name: 'cluster server' }).listening();
  server.urls = server.logged(/^Node \d+ listens at/).map((line) => line.split(' at ')[1]);
  return server;
}

// A program of examples/ or tests/compat/, from the build that SKYBUILD belongs to.
export const startExample = (name, args = []) => startBuilt('examples', name, args);
export const startCompat = (name, args = []) => startBuilt('compat', name, args);

async function startBuilt(dir, name, args) {
  const file = path.join(path.dirname(SKYBUILD), dir, name);
  if (!existsSync(file)) throw new Error(`no program at ${path.relative(ROOT, file)}: make builds it`);
  return new Process(file, args, { env: {}, name }).listening();
}

// A program that says where it listens.
export const startProgram = (file, args = [], { env = {}, cwd } = {}) =>
  new Process(file, args, { env, cwd, name: path.basename(file) }).listening();

// make install into an empty folder: {prefix, lib, env, remove()}; env is what a user of
// a library in an unusual place sets.
export async function install() {
  const dest = tempDir();
  const got = await run('make', ['--no-print-directory', '-C', ROOT, 'install', `DESTDIR=${dest}`, 'PREFIX=/usr'], { timeout: 600000 });
  if (got.code !== 0) {
    const error = new Error(`make install: ${got.stdout}${got.stderr}`);
    console.error(error.message); // a failed before() is not told by every runner
    throw error;
  }
  const prefix = path.join(dest, 'usr');
  const lib = 'lib';
  const env = { PKG_CONFIG_PATH: path.join(prefix, lib, 'pkgconfig'), LD_LIBRARY_PATH: path.join(prefix, lib), CMAKE_PREFIX_PATH: prefix };
  return { prefix, lib, env, remove: () => rmSync(dest, { recursive: true, force: true }) };
}

// A port that nobody listens on at this moment.
export const freePort = () =>
  new Promise((resolve, reject) => {
    const probe = createServer().once('error', reject).listen(0, '127.0.0.1', () => {
      const { port } = probe.address();
      probe.close(() => resolve(port));
    });
  });
