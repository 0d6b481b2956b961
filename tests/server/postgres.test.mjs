// The server on PostgreSQL: what only a database at the end of a wire can bring about.
// What a store has to do anyhow is in rest, domain and crash, which run on it as well
// (TEST_DATABASE=postgres).  RESTART_ROUNDS=N restarts it more often (make torture).
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { clientPool } from './lib/clients.mjs';
import { cliIn, fillStore, freePort, run, Server, serverEnv, SKYBUILD, startServer, tempDir } from './lib/harness.mjs';
import { PG_PASSWORD, Postgres } from './lib/postgres.mjs';
import { sleep, until } from './lib/queue.mjs';

const P = '/api/projects/proj-123';
const RESTART_ROUNDS = Number(process.env.RESTART_ROUNDS ?? 2);
const pool = clientPool();
let pg;
let schemas = 0;

before(() => (pg = new Postgres()));
afterEach(() => pool.close());
after(() => pg?.remove());

const newUrl = () => pg.url(`t${++schemas}`);
const start = (url = newUrl(), more = {}) => startServer({ env: { DATABASE_URL: url, ...more.env }, fill: more.fill ?? 'people' });

// Neither the password nor what is left of it in a URL.
function assertSilent(text) {
  for (const secret of [PG_PASSWORD, encodeURIComponent(PG_PASSWORD), 'geheim'])
    assert.ok(!text.includes(secret), `the password is in: ${text.slice(0, 2000)}`);
}

async function stop(server) {
  await server.stop();
  assertSilent(server.lines.join('\n'));
}

async function newItem(server, body = { code: '1' }) {
  const made = await server.api('POST', `${P}/boq`, { as: 'anna', body });
  assert.equal(made.status, 201, made.body);
  return made.json.item_id;
}

// Writers that change items until they are told to end; what was answered, by version.
let runs = 0;
function startWriters(server, items, n) {
  const run = ++runs;
  const w = { answered: new Map(), refused: 0, unanswered: 0, running: true };
  const one = async (k) => {
    for (let i = 0; w.running; i++) {
      const item = items[k % items.length];
      try {
        const res = await server.api('PATCH', `${P}/boq/${item}`, { as: 'ben', body: { qty: i, description: `${run}-${k}-${i}` } });
        if (res.status === 200) {
          w.answered.set(`${item}@${res.json.version}`, res.json.description);
        } else {
          assert.equal(res.status, 503, res.body);
          assert.match(String(res.headers['retry-after']), /^\d+$/, 'Retry-After');
          w.refused++;
          await sleep(20);
        }
      } catch (e) {
        if (e instanceof assert.AssertionError) throw e;
        w.unanswered++;
        await sleep(20);
      }
    }
  };
  w.done = Promise.all(Array.from({ length: n }, (_, k) => one(k)));
  w.end = () => ((w.running = false), w.done);
  return w;
}

// Every answered change is in the history, once, with what it said; rows and events agree.
async function checkWrites(server, writers) {
  const updates = (await server.history()).filter((e) => e.type === 'boq:item:updated');
  const versions = new Map(updates.map((e) => [`${e.data.item_id}@${e.data.version}`, e.data.updates.description]));
  assert.equal(versions.size, updates.length, 'each version once');
  assert.equal(new Set(versions.values()).size, updates.length, 'no change is there twice');
  for (const w of writers) for (const [key, text] of w.answered) assert.equal(versions.get(key), text, `${key} was answered`);
  for (const item of (await server.api('GET', `${P}/boq?limit=1000`, { as: 'anna' })).json.items)
    assert.equal(item.version, 1 + updates.filter((e) => e.data.item_id === item.item_id).length, item.item_id);
}

const ready = async (server) => (await server.api('GET', '/readyz')).status;

describe('the main path', () => {
  it('the command line fills it; changes by REST, bulk and conflicts reach the members', async () => {
    const server = await start();
    const anna = await pool.user(server, 'anna', { project: 'proj-123' });
    const item = await newItem(server, { code: '03.2', qty: '148.50', unit_price: '182.40' });
    assert.equal((await anna.event('boq:item:created')).item_id, item);
    const changed = await server.api('PATCH', `${P}/boq/${item}`, { as: 'ben', body: { qty: '150', version: 1 } });
    assert.equal(changed.status, 200, changed.body);
    assert.equal(changed.json.total, 27360);
    assert.deepEqual((await anna.event('boq:item:updated')).updates, { qty: 150 });
    const late = await server.api('PATCH', `${P}/boq/${item}`, { as: 'ben', body: { qty: '1', version: 1 } });
    assert.equal(late.status, 409);
    assert.match(late.body, /"version":2/);
    const bulk = await server.api('POST', `${P}/boq/bulk`, { as: 'ben', body: { updates: [{ item_id: item, qty: 3 }, { item_id: 'none', qty: 1 }, { item_id: item, version: 1, qty: 9 }] } });
    assert.equal(bulk.status, 200, bulk.body);
    assert.equal(bulk.json.updated, 1);
    assert.deepEqual((await anna.event('boq:bulk:updated')).summary, { total: 3, updated: 1, skipped: 2 });
    const task = await server.api('POST', `${P}/tasks`, { as: 'anna', body: { title: 'Pour', assignee_id: 'ben' } });
    assert.equal(task.status, 201, task.body);
    assert.equal((await server.api('GET', '/api/notifications', { as: 'ben' })).json.unread, 1);
    assert.equal(await ready(server), 200);
    assert.match((await server.cli(['project', 'list'])).stdout, /proj-123/);
    assert.match((await server.cli(['user', 'list'])).stdout, /anna/);
    await server.cli(['demo']);
    assert.equal((await server.api('GET', '/api/projects/proj-riverside/boq?limit=1', { as: 'anna' })).status, 200);
    await stop(server);
  });
});

describe('a database that goes and comes', () => {
  for (const mode of ['fast', 'immediate'])
    it(`restarted during writes (${mode}, ${RESTART_ROUNDS} times): no answered write is lost, none is there twice; it recovers by itself`, async () => {
      const server = await start();
      const items = [];
      for (let i = 0; i < 4; i++) items.push(await newItem(server));
      const writers = startWriters(server, items, 12);
      for (let round = 0; round < RESTART_ROUNDS; round++) {
        await sleep(300);
        pg.stop(mode);
        await until(async () => (await ready(server)) === 503, 'not ready');
        await sleep(200);
        pg.start();
        const before = writers.answered.size;
        await until(() => writers.answered.size > before + 20, 'writes go on', { timeout: 20000 });
      }
      await writers.end();
      assert.ok(writers.answered.size > 50 && writers.refused > 0, `${writers.answered.size} answered, ${writers.refused} refused`);
      assert.equal(writers.unanswered, 0, 'each request was answered');
      assert.equal(await ready(server), 200);
      assert.ok(server.logged(/PostgreSQL at postgres@127\.0\.0\.1:\d+\/postgres: connection lost: /).length >= 2, 'logged as lost'); // after some the log holds back equal warnings
      assert.ok(server.logged(/PostgreSQL at \S+: connected again/).length >= RESTART_ROUNDS, 'and as found again');
      await checkWrites(server, [writers]);
      await stop(server);
    });

  it('an administrator ends every connection, again and again', async () => {
    const server = await start();
    const items = [await newItem(server), await newItem(server)];
    const writers = startWriters(server, items, 8);
    let ended = 0;
    for (let i = 0; i < 20 || (ended < 20 && i < 200); i++) {
      await sleep(40);
      ended += pg.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'skybuild'").split('\n').filter((l) => l.trim() === 't').length;
    }
    await writers.end();
    assert.ok(ended >= 20, `${ended} connections were ended`);
    assert.equal(writers.unanswered, 0);
    assert.ok(writers.answered.size > 20, `${writers.answered.size} answered`);
    await checkWrites(server, [writers]);
    await stop(server);
  });

  it('while it is away: what needs no store goes on, writes get 503 at once', async () => {
    const server = await start();
    const anna = await pool.user(server, 'anna', { project: 'proj-123' });
    const ben = await pool.user(server, 'ben', { project: 'proj-123' });
    await anna.event('user:joined');
    pg.stop('immediate');
    try {
      const begun = Date.now();
      const res = await server.api('POST', `${P}/boq`, { as: 'anna', body: {} });
      assert.equal(res.status, 503, res.body);
      assert.match(String(res.headers['retry-after']), /^\d+$/);
      assertSilent(res.body);
      assert.ok(Date.now() - begun < 2000, `after ${Date.now() - begun} ms`);
      ben.emit('cursor:move', { project_id: 'proj-123', cursor: 'away' });
      await anna.event('cursor:moved', (d) => d.cursor === 'away');
      assert.equal((await server.api('GET', '/healthz')).status, 200);
    } finally {
      pg.start();
    }
    await until(async () => (await ready(server)) === 200, 'ready again', { timeout: 10000 });
    await newItem(server);
    await anna.event('boq:item:created');
    await stop(server);
  });
});

describe('two servers on one database', () => {
  let a, b;
  before(async () => {
    const url = newUrl();
    a = await start(url);
    b = await startServer({ env: { DATABASE_URL: url, JWT_SECRET: a.env.JWT_SECRET, SERVICE_API_KEY: a.env.SERVICE_API_KEY }, fill: 'none' });
  });
  after(async () => {
    await stop(a);
    await stop(b);
  });

  it('changes of one reach the members of the other, in order, without a gap, soon', async () => {
    const anna = await pool.user(a, 'anna', { project: 'proj-123' });
    const ben = await pool.user(b, 'ben', { project: 'proj-123' });
    const items = [await newItem(a), await newItem(b), await newItem(a)];
    const writers = [startWriters(a, items, 4), startWriters(b, items, 4)];
    await until(() => writers.every((w) => w.answered.size > 50), 'both write', { timeout: 20000 });
    await Promise.all(writers.map((w) => w.end()));
    const last = (await a.history()).at(-1).seq;
    for (const member of [anna, ben]) {
      const heard = [];
      await until(() => {
        for (const e of member.all('boq:item:updated')) if (e.seq > (heard.at(-1) ?? 0)) heard.push(e.seq);
        return heard.at(-1) === last;
      }, 'the last event', { timeout: 10000 });
      const all = [...member.all('boq:item:created'), ...member.all('boq:item:updated')].map((e) => e.seq);
      assert.deepEqual(all, all.map((_, i) => all[0] + i), 'dense, in order');
    }
    await checkWrites(b, writers);
    const took = [];
    for (let i = 0; i < 7; i++) { // each follows a look: polling would take nearly 250 ms every time
      const begun = Date.now();
      const item = await newItem(a);
      await ben.event('boq:item:created', (e) => e.item_id === item);
      took.push(Date.now() - begun);
    }
    assert.ok(took.sort((x, y) => x - y)[3] < 150, `${took} ms: woken, not polled`);
  });

  it('a role withdrawn at one ends the membership at the other', async () => {
    const cleo = await pool.user(b, 'cleo', { project: 'proj-123' });
    assert.equal((await a.api('DELETE', `${P}/collaborators/cleo`, { as: 'anna' })).status, 204);
    await cleo.event('access:revoked', (d) => d.project_id === 'proj-123');
  });

  it('kill -9 of one in the middle of its writes: the other goes on, and nothing answered is lost', async () => {
    const items = [await newItem(a), await newItem(b)];
    const url = a.env.DATABASE_URL;
    const dir = tempDir();
    for (let round = 0; round < 3; round++) {
      const third = await new Server(dir, { ...serverEnv(dir, { DATABASE_URL: url }), JWT_SECRET: a.env.JWT_SECRET }).listening();
      const writers = [startWriters(third, items, 6), startWriters(b, items, 6)];
      await until(() => writers.every((w) => w.answered.size > 20), 'both write', { timeout: 20000 });
      await third.kill();
      writers[0].running = false;
      const before = writers[1].answered.size;
      await until(() => writers[1].answered.size > before + 10, 'the other goes on');
      await Promise.all(writers.map((w) => w.end()));
      await checkWrites(b, writers);
    }
  });

  it('the same Idempotency-Key at both is one change', async () => {
    const ask = { as: 'anna', body: { text: 'once' }, headers: { 'idempotency-key': 'k1' } };
    const [x, y] = await Promise.all([a.api('POST', `${P}/comments`, ask), b.api('POST', `${P}/comments`, ask)]);
    assert.deepEqual([x.status, y.status], [201, 201]);
    assert.equal(x.json.comment_id, y.json.comment_id);
  });
});

describe('a start that is refused', () => {
  const serve = async (url, args = ['serve']) => {
    const dir = tempDir();
    const begun = Date.now();
    const got = await run(SKYBUILD, args, { env: serverEnv(dir, { DATABASE_URL: url }), cwd: dir });
    assertSilent(got.stdout + got.stderr);
    return { ...got, ms: Date.now() - begun };
  };
  const oneLine = (got, re) => {
    assert.notEqual(got.code, 0);
    const lines = got.stderr.trim().split('\n').filter((l) => re.test(l));
    assert.equal(lines.length, 1, got.stderr);
  };

  it('no server there: one line within five seconds; --check does not ask', async () => {
    const url = pg.url('nobody', { port: await freePort() });
    const got = await serve(url);
    oneLine(got, /cannot reach PostgreSQL at postgres@127\.0\.0\.1:\d+\/postgres \(DATABASE_URL\): .*refused/);
    assert.ok(got.ms < 5000, `${got.ms} ms`);
    assert.equal((await serve(url, ['serve', '--check'])).code, 0);
    oneLine(await serve(url, ['user', 'list']), /cannot reach PostgreSQL/);
  });

  it('one that accepts and says nothing', async () => {
    const net = await import('node:net');
    const mute = net.createServer(() => {}).listen(0, '127.0.0.1');
    await new Promise((resolve) => mute.once('listening', resolve));
    mute.unref();
    const got = await serve(pg.url('nobody', { port: mute.address().port, seconds: 0 }));
    mute.close();
    oneLine(got, /cannot reach PostgreSQL at .*timeout/);
    assert.ok(got.ms < 5000, `${got.ms} ms`);
  });

  it('a wrong password, a URL that is none', async () => {
    oneLine(await serve(pg.url('nobody', { password: 'geheim-und-falsch' })), /password authentication failed/);
    oneLine(await serve('postgresql://u:geheim%zz@h/d'), /no URL that PostgreSQL's library takes/);
    oneLine(await serve('postgresql://u:geheim%zz@h/d', ['serve', '--check']), /no URL that PostgreSQL's library takes/);
  });

  it('a newer schema, another program\'s tables, a user who may not make tables', async () => {
    const url = pg.url('newer');
    const dir = tempDir();
    await fillStore((args, opts) => cliIn(dir, serverEnv(dir, { DATABASE_URL: url }), args, opts));
    pg.sql("INSERT INTO schema_version VALUES (99, 'later')", 'newer');
    oneLine(await serve(url), /has schema 99, this skybuild knows up to \d+; start the newer skybuild/);
    oneLine(await serve(url, ['user', 'list']), /has schema 99/);
    const theirs = pg.url('theirs');
    pg.sql('CREATE TABLE other (x int)', 'theirs');
    oneLine(await serve(theirs), /another program's tables/);
    pg.sql("CREATE ROLE guest LOGIN PASSWORD 'geheim'; CREATE SCHEMA closed; GRANT USAGE ON SCHEMA closed TO guest");
    oneLine(await serve(`postgresql://guest:geheim@127.0.0.1:${pg.port}/postgres?options=-csearch_path%3Dclosed`), /permission denied for schema closed/);
  });

  it('sslmode passes through: a server without TLS is refused when it is required', async () => {
    oneLine(await serve(`${pg.url('tls')}&sslmode=require`), /does not support SSL/);
  });
});
