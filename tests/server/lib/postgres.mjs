// A real PostgreSQL of the test's own: a new cluster in a temporary folder, on a free
// port of 127.0.0.1 with a password.  It ends with the test's process, whatever ends
// that.  Root runs it as user postgres, for the server refuses root.
//
// Schemas take the place of files: url('x') is a database with nothing in it.
import { spawn, spawnSync } from 'node:child_process';
import { chownSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';

export const PG_PASSWORD = 'geheim%wort@'; // with what a URL must escape
const SETTINGS = ['fsync=off', 'full_page_writes=off', 'max_connections=60', 'shared_buffers=32MB', 'autovacuum=off', 'log_min_messages=warning'];

function programs() {
  const root = '/usr/lib/postgresql';
  const newest = readdirSync(root).sort((a, b) => b - a)[0];
  return path.join(root, newest, 'bin');
}

// Run it to its end; its standard output.
function must(file, args, options = {}) {
  const got = spawnSync(file, args, { encoding: 'utf8', ...options });
  if (got.status !== 0) throw new Error(`${path.basename(file)} ended with ${got.status ?? got.error}: ${got.stderr}${got.stdout}`);
  return got.stdout;
}

// As root: the user that the server runs as.
const other = process.getuid() === 0
  ? { name: 'postgres', uid: Number(must('id', ['-u', 'postgres'])), gid: Number(must('id', ['-g', 'postgres'])) }
  : null;
const drop = other ? ['--reuid', other.name, '--regid', other.name, '--clear-groups'] : [];

function freePortNow() { // without the event loop: what start() needs, it needs at once
  const code = `const s = require('net').createServer().listen(0, '127.0.0.1', () => { console.log(s.address().port); s.close(); })`;
  return Number(must(process.execPath, ['-e', code]));
}

export class Postgres {
  // fsync: true where a test is about what outlives a crash of the machine's kind.
  constructor({ fsync = false } = {}) {
    this.bin = programs();
    this.dir = mkdtempSync('/tmp/skybuild-pg-');
    this.data = path.join(this.dir, 'data');
    this.settings = fsync ? SETTINGS.slice(2) : SETTINGS;
    const password = path.join(this.dir, 'password');
    writeFileSync(password, PG_PASSWORD);
    if (other) for (const file of [this.dir, password]) chownSync(file, other.uid, other.gid);
    must('setpriv', [...drop, path.join(this.bin, 'initdb'), '-D', this.data, '-U', 'postgres', '-E', 'UTF8', '--locale=C', '-N', '--no-instructions',
      '--auth-local=trust', '--auth-host=scram-sha-256', `--pwfile=${password}`], { cwd: this.dir });
    this.port = freePortNow();
    this.schemas = new Set();
    this.start();
    this.onExit = () => this.remove();
    process.on('exit', this.onExit);
  }

  start() {
    const settings = [...this.settings, `port=${this.port}`, 'listen_addresses=127.0.0.1', `unix_socket_directories=${this.dir}`];
    this.child = spawn('setpriv', [...drop, '--pdeathsig', 'QUIT', path.join(this.bin, 'postgres'), '-D', this.data, ...settings.flatMap((s) => ['-c', s])],
      { cwd: this.dir, stdio: 'ignore' });
    this.child.unref();
    for (let i = 0; i < 500; i++) {
      if (spawnSync(path.join(this.bin, 'pg_isready'), ['-h', this.dir, '-p', this.port, '-q']).status === 0) return;
      spawnSync('sleep', ['0.02']);
    }
    throw new Error('postgres does not answer');
  }

  // 'fast': clients are told; 'immediate': as if it had crashed.
  stop(mode = 'fast') {
    spawnSync('setpriv', [...drop, path.join(this.bin, 'pg_ctl'), 'stop', '-s', '-w', '-m', mode, '-D', this.data], { cwd: this.dir });
  }

  remove() {
    process.off('exit', this.onExit);
    this.stop('immediate');
    rmSync(this.dir, { recursive: true, force: true, maxRetries: 5 });
  }

  // What SQL answers, unaligned; in a schema of url(name).
  sql(text, name) {
    const set = name ? [`-c`, `SET search_path = "${name}"`] : [];
    return must(path.join(this.bin, 'psql'), ['-h', this.dir, '-p', this.port, '-U', 'postgres', '-X', '-q', '-A', '-t', '-v', 'ON_ERROR_STOP=1', ...set, '-c', text])
      .trim();
  }

  // DATABASE_URL of a schema, which is made if it is not there.  seconds: to connect in; machines
  // of tests are slow at times.
  url(name, { port = this.port, password = PG_PASSWORD, seconds = 20 } = {}) {
    if (!this.schemas.has(name)) this.sql(`SET client_min_messages = warning; CREATE SCHEMA IF NOT EXISTS "${name}"`);
    this.schemas.add(name);
    return `postgresql://postgres:${encodeURIComponent(password)}@127.0.0.1:${port}/postgres?options=-csearch_path%3D${encodeURIComponent(`"${name}"`)}${seconds ? `&connect_timeout=${seconds}` : ''}`;
  }
}

// The one that the suites share which run with TEST_DATABASE=postgres.
let shared;
export const sharedPostgres = () => (shared ??= new Postgres());
