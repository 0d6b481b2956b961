// What becomes of requests when the database fails, as a table: the disk is full, another
// process holds the file, PostgreSQL is gone.  Each write is answered 503 with Retry-After
// meanwhile, what needs no writing goes on, nothing that was answered is lost, and the
// service goes on by itself when the fault is over.
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { chmodSync, chownSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, describe, it } from 'node:test';
import { clientPool } from './lib/clients.mjs';
import { cliIn, fillStore, run, serverEnv, SKYBUILD, startServer, tempDir } from './lib/harness.mjs';
import { Postgres } from './lib/postgres.mjs';
import { sleep, until } from './lib/queue.mjs';

const ROOT_ONLY = process.getuid() !== 0 ? 'only root may mount and change users' : false;
const HOLD = `
import sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=30)
db.execute('BEGIN IMMEDIATE')
print('held', flush=True)
sys.stdin.read()
`;
const pool = clientPool();
const mounts = new Set();
let pg;
after(() => {
  pool.close();
  pg?.remove();
  for (const dir of mounts) execFileSync('umount', [dir]);
});

// begin: settings of the server; fail, mend: the fault comes and goes; reads: are they answered meanwhile?
const FAULTS = [
  {
    name: 'the disk is full',
    skip: ROOT_ONLY,
    reads: true,
    begin(dir) {
      const disk = path.join(dir, 'disk');
      execFileSync('mkdir', [disk]);
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=8m', 'none', disk]);
      mounts.add(disk);
      this.ballast = path.join(disk, 'ballast');
      return { DATABASE_URL: `sqlite:///${disk}/skybuild.db` };
    },
    fail() {
      const disk = path.dirname(this.ballast);
      const [free] = execFileSync('df', ['--output=avail', '-B1', disk]).toString().trim().split('\n').slice(-1);
      writeFileSync(this.ballast, Buffer.alloc(Number(free)));
    },
    mend() {
      rmSync(this.ballast);
    },
    end(dir) {
      const disk = path.join(dir, 'disk');
      execFileSync('umount', [disk]);
      mounts.delete(disk);
    },
  },
  {
    name: 'another process holds the database',
    reads: true,
    begin: () => ({}),
    async fail(dir) {
      this.holder = spawn('/usr/bin/python3', ['-c', HOLD, path.join(dir, 'skybuild.db')], { stdio: ['pipe', 'pipe', 'inherit'] });
      await new Promise((resolve) => this.holder.stdout.once('data', resolve));
    },
    mend() {
      this.holder.stdin.end();
    },
  },
  {
    name: 'PostgreSQL is gone',
    reads: false,
    begin() {
      pg = new Postgres();
      return { DATABASE_URL: pg.url('faults') };
    },
    fail: () => pg.stop('immediate'),
    mend: () => pg.start(),
  },
];

const boq = (server, id) => server.api('POST', '/api/projects/proj-123/boq', { as: 'anna', body: { item_id: id, description: 'x'.repeat(1500) } });

// Writers that go on whatever they are answered; .answered: the ids that were taken.
function writers(server, n) {
  const w = { answered: new Set(), refused: [], goes: true };
  w.ended = Promise.all(Array.from({ length: n }, async (_, i) => {
    for (let k = 0; w.goes; k++) {
      const id = `w${i}-${k}`;
      const res = await boq(server, id);
      if (res.status === 201) w.answered.add(id);
      else w.refused.push(res);
      if (res.status !== 201) await sleep(50);
    }
  }));
  return w;
}

for (const fault of FAULTS)
  it(`${fault.name}: 503 meanwhile, nothing answered is lost, and it ends by itself`, { skip: fault.skip ?? false, timeout: 120000 }, async () => {
    const dir = tempDir();
    const env = serverEnv(dir, await fault.begin(dir));
    await fillStore((args, opts) => cliIn(dir, env, args, opts));
    const server = await startServer({ dir, fill: 'none', env });
    try {
      const ben = await pool.user(server, 'ben', { project: 'proj-123' });
      const w = writers(server, 4);
      await until(() => w.answered.size > 5, 'some writes');
      await fault.fail(dir);
      await until(() => w.refused.length >= 8, 'refusals', { timeout: 60000 });
      if (fault.reads) assert.equal((await server.api('GET', '/api/projects/proj-123/boq?limit=1', { as: 'anna' })).status, 200);
      assert.equal((await server.api('GET', '/healthz')).status, 200);
      const before = w.refused.length;
      await fault.mend(dir);
      await until(async () => (await boq(server, `again-${Math.random()}`)).status === 201, 'writes are taken again', { timeout: 30000 });
      const taken = w.answered.size;
      await until(() => w.answered.size > taken, 'those of the writers too');
      w.goes = false;
      await w.ended;
      assert.ok(before >= 8);
      for (const res of w.refused) {
        assert.equal(res.status, 503, res.body);
        assert.match(String(res.headers['retry-after']), /^\d+$/);
        assert.match(res.headers['content-type'], /^application\/problem\+json/);
        assert.ok(res.json.detail.length > 10, res.body);
      }
      // All that were answered are there, and came to the member, each once.
      const created = (await server.history()).filter((e) => e.type === 'boq:item:created').map((e) => e.data.item_id);
      assert.equal(new Set(created).size, created.length);
      for (const id of w.answered) assert.ok(created.includes(id), id);
      await until(() => ben.all('boq:item:created').length === created.length, 'the member has them all', { timeout: 20000 });
      assert.deepEqual(ben.all('boq:item:created').map((d) => d.item_id), created);
      ben.close();
    } finally {
      try {
        await server.end();
      } finally {
        fault.end?.(dir);
        rmSync(dir, { recursive: true, force: true });
      }
    }
  });

describe('a database that may only be read', { skip: ROOT_ONLY }, () => {
  it('ends the start with a line that says so', async () => {
    const dir = tempDir();
    const env = serverEnv(dir);
    await fillStore((args, opts) => cliIn(dir, env, args, opts));
    const nobody = 65534;
    chmodSync(dir, 0o555);
    chownSync(path.join(dir, 'skybuild.db'), nobody, nobody);
    chmodSync(path.join(dir, 'skybuild.db'), 0o444);
    try {
      const got = await run('setpriv', ['--reuid', String(nobody), '--regid', String(nobody), '--clear-groups', SKYBUILD, 'serve'], { env, cwd: dir });
      assert.equal(got.code, 1, got.stderr);
      assert.match(got.stderr, /^skybuild: DATABASE_URL=sqlite:\S+ cannot be used: .*(Permission denied|readonly|unable to open)/m);
      assert.ok(got.stderr.trim().split('\n').length <= 2, got.stderr);
    } finally {
      chmodSync(dir, 0o755);
      rmSync(dir, { recursive: true, force: true });
    }
  });
});
