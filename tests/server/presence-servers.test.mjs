// Who is there, over three servers: every server says the same, and each of its clients hears
// once of each user who comes and goes, whatever becomes of servers, of Redis and of the lines
// between them.
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { clientPool } from './lib/clients.mjs';
import { DeafProxy } from './lib/deaf.mjs';
import { startServer } from './lib/harness.mjs';
import { sleep, until } from './lib/queue.mjs';
import { startRedis } from './lib/redis.mjs';
import { knowEachOther, startServers, verbose } from './lib/servers.mjs';

const pool = clientPool();
const P = 'proj-123';
const GRACE_MS = 1500;
const LEASE_MS = 10000, BEAT_MS = 2000;
const TOLD_MS = 400; // what is on its way between two servers is there
const LONG = { timeout: 25000 };

const listed = async (s, p = P) => (await s.api('GET', `/api/projects/${p}/presence`, { key: true })).json;
const names = (list) => list.users.map((u) => u.user_id).sort();
const until_listed = (s, want, opts) => until(async () => String(names(await listed(s))) === String([...want].sort()), `server lists ${want}`, opts);
const heard = (c, name) => c.all(name).map((d) => d.user_id);
const cutOff = (c) => c.socket.io.engine.transport.ws.terminate?.() ?? c.socket.io.engine.transport.ws.close();
const state = async (c) => (await c.ask('presence:list', { project_id: P })).users;
// Servers hear of each other at different times: until c's knows of all n connections, one that goes may be the last it knows of.
const knows = (c, user, n) => until(async () => (await state(c)).find((u) => u.user_id === user)?.connections === n, `${n} connections of ${user} are known`);

after(() => pool.close());

describe('three servers, one crowd', () => {
  let redis, servers;
  before(async () => {
    redis = await startRedis();
    servers = await startServers(3, { REDIS_URL: redis.url, PRESENCE_GRACE: String(GRACE_MS) });
  });
  afterEach(async () => {
    pool.close();
    for (const s of servers) await until(async () => (await s.status()).active_connections === 0 && !names(await listed(s)).length, 'nobody is left', LONG);
  });
  after(async () => {
    await servers?.stop();
    await redis?.stop();
  });

  it('a user with tabs on two servers joins once and leaves once', async () => {
    const ben = await pool.user(servers[2], 'ben', { project: P });
    const tabs = [await pool.user(servers[0], 'anna', { project: P })];
    assert.equal((await ben.event('user:joined')).user_id, 'anna');
    tabs.push(await pool.user(servers[1], 'anna', { project: P }));
    await until(async () => (await state(ben)).find((u) => u.user_id === 'anna').connections === 2, 'both tabs are counted');
    tabs[0].close();
    await until(async () => (await state(ben)).find((u) => u.user_id === 'anna').connections === 1, 'one tab is counted');
    await sleep(TOLD_MS); // and nobody hears of it
    assert.deepEqual([heard(ben, 'user:joined'), heard(ben, 'user:left'), heard(tabs[1], 'user:left')], [[], [], []]);
    tabs[1].close();
    assert.equal((await ben.event('user:left')).user_id, 'anna');
    await sleep(TOLD_MS); // and no more
    assert.deepEqual([heard(ben, 'user:joined'), heard(ben, 'user:left')], [[], []]);
  });

  it('joined_project, presence:list and the API name the users of all servers, alike on each', async () => {
    const everybody = [];
    for (const [i, user] of ['anna', 'ben', 'cleo'].entries()) {
      const c = await pool.user(servers[i], user, { project: P });
      everybody.push(c);
      assert.deepEqual(names(c.joined), ['anna', 'ben', 'cleo'].slice(0, i + 1)); // at once, not a moment later
      c.emit('presence:update', { project_id: P, state: { i } });
      for (const other of everybody) if (other !== c) await other.event('presence:updated', (d) => d.user_id === user);
    }
    const again = await pool.user(servers[0], 'cleo', { project: P });
    assert.deepEqual(again.joined.users.find((u) => u.user_id === 'cleo'), { user_id: 'cleo', name: 'Cleo', state: { i: 2 } });
    const sorted = (users) => [...users].sort((a, b) => (a.user_id < b.user_id ? -1 : 1));
    const want = sorted((await listed(servers[0])).users);
    assert.deepEqual(want.map((u) => [u.user_id, u.connections, u.state.i]), [['anna', 1, 0], ['ben', 1, 1], ['cleo', 2, 2]]);
    for (const c of everybody) await until(async () => JSON.stringify(sorted(await state(c))) === JSON.stringify(want), 'all say the same');
    for (const s of servers) assert.deepEqual([sorted((await listed(s)).users), (await listed(s)).missing_nodes], [want, []]);
  });

  it('the newest state of a user is shown, whichever tab it came from, and outlives that tab', async () => {
    const tabs = [await pool.user(servers[0], 'anna', { project: P }), await pool.user(servers[1], 'anna', { project: P })];
    const ben = await pool.user(servers[2], 'ben', { project: P });
    tabs[0].emit('presence:update', { project_id: P, state: 'old' });
    await ben.event('presence:updated', (d) => d.state === 'old');
    await tabs[1].event('presence:updated', (d) => d.state === 'old');
    tabs[1].emit('presence:update', { project_id: P, state: 'new' });
    await ben.event('presence:updated', (d) => d.state === 'new');
    tabs[1].close();
    await until(async () => (await state(ben)).find((u) => u.user_id === 'anna').connections === 1, 'the tab is gone');
    for (const c of [ben, tabs[0], await pool.user(servers[1], 'eve', { project: P })])
      assert.equal((await state(c)).find((u) => u.user_id === 'anna').state, 'new');
  });

  it('the network drops: the user is listed everywhere until its grace ends, then leaves once', async () => {
    const ben = await pool.user(servers[1], 'ben', { project: P });
    const anna = await pool.user(servers[0], 'anna', { project: P });
    await ben.event('user:joined');
    cutOff(anna);
    const begun = Date.now();
    await until(async () => (await state(ben)).find((u) => u.user_id === 'anna').connections === 0, 'its loss is known');
    const eve = await pool.user(servers[2], 'eve', { project: P });
    assert.deepEqual(names(eve.joined), ['anna', 'ben', 'eve']);
    await Promise.all([ben.event('user:left'), eve.event('user:left')]);
    assert.ok(Date.now() - begun > GRACE_MS - 50, `${Date.now() - begun} ms`);
    await sleep(TOLD_MS);
    assert.deepEqual([heard(ben, 'user:left'), heard(eve, 'user:left')], [[], []]);
  });

  it('a user that comes back on another server within its grace never leaves', async () => {
    const watchers = [];
    for (const s of servers) watchers.push(await pool.user(s, 'ben', { project: P }));
    const anna = await pool.user(servers[0], 'anna', { project: P });
    for (const w of watchers) await w.event('user:joined', (d) => d.user_id === 'anna');
    cutOff(anna);
    await until(async () => (await state(watchers[2])).find((u) => u.user_id === 'anna').connections === 0, 'its loss is known');
    await pool.user(servers[1], 'anna', { project: P });
    await sleep(GRACE_MS + TOLD_MS); // the grace at the first server ends
    for (const w of watchers) {
      assert.deepEqual([heard(w, 'user:left'), heard(w, 'user:joined')], [[], []]);
      assert.equal((await state(w)).find((u) => u.user_id === 'anna').connections, 1);
    }
  });

  it('who loses access is out on every server, and leaves once', async () => {
    const ben = await pool.user(servers[1], 'ben', { project: P });
    const eves = [];
    for (const s of servers) eves.push(await pool.user(s, 'eve', { project: P }));
    await ben.event('user:joined');
    await knows(ben, 'eve', 3);
    await servers[2].api('DELETE', `/api/projects/${P}/collaborators/eve`, { as: 'anna' });
    for (const c of eves) await c.event('access:revoked', (d) => d.project_id === P);
    assert.equal((await ben.event('user:left')).user_id, 'eve');
    await sleep(TOLD_MS);
    assert.deepEqual([heard(ben, 'user:left'), heard(ben, 'user:joined')], [[], []]);
    for (const s of servers) assert.deepEqual(names(await listed(s)), ['ben']);
    await servers[2].api('PUT', `/api/projects/${P}/collaborators/eve`, { as: 'anna', body: { role: 'commenter' } });
  });

  it('who is disconnected is out on every server, and leaves once', async () => {
    const ben = await pool.user(servers[1], 'ben', { project: P });
    for (const s of servers) await pool.user(s, 'cleo', { project: P });
    await ben.event('user:joined');
    await knows(ben, 'cleo', 3);
    const { json } = await servers[0].api('POST', '/api/users/cleo/disconnect', { key: true });
    assert.equal(json.disconnected, 3);
    assert.equal((await ben.event('user:left')).user_id, 'cleo');
    await sleep(TOLD_MS);
    assert.deepEqual([heard(ben, 'user:left'), heard(ben, 'user:joined')], [[], []]);
    for (const s of servers) assert.deepEqual(names(await listed(s)), ['ben']);
  });

  it('/ws/status counts all servers and asks none', async () => {
    for (const s of servers) await pool.user(s, 'anna', { project: P });
    await pool.user(servers[0], 'ben', { project: 'proj-456' });
    for (const s of servers)
      await until(async () => {
        const { active_connections, active_project_rooms } = await s.status();
        return active_connections === 4 && active_project_rooms === 2;
      }, 'the counts');
    const sent = async () => Number((await redis.cli('INFO', 'commandstats')).match(/cmdstat_publish:calls=(\d+)/)[1]);
    const begun = await sent(), at = Date.now();
    for (let i = 0; i < 300; i++) await servers[0].status();
    const per_s = (await sent() - begun) / Math.max(1, (Date.now() - at) / 1000);
    assert.ok(per_s < 30, `${per_s.toFixed(0)} messages a second`); // beats; a question each would be two a request
  });

  it('Redis is killed and comes back: nobody leaves, and who came meanwhile is there', async () => {
    const ben = await pool.user(servers[1], 'ben', { project: P });
    await pool.user(servers[0], 'anna', { project: P });
    await ben.event('user:joined');
    await redis.kill();
    await until(async () => (await verbose(servers[0])).redis === 'down', 'the loss is told');
    const cleo = await pool.user(servers[2], 'cleo', { project: P });
    assert.ok(names(cleo.joined).includes('cleo'));
    await redis.start();
    await knowEachOther(servers);
    assert.equal((await ben.event('user:joined', () => true, LONG)).user_id, 'cleo');
    for (const s of servers) await until_listed(s, ['anna', 'ben', 'cleo'], LONG);
    await until(async () => (await state(cleo)).length === 3, 'the newcomer knows all');
    await sleep(BEAT_MS + TOLD_MS);
    assert.deepEqual([heard(ben, 'user:left'), heard(ben, 'user:joined'), heard(cleo, 'user:left')], [[], [], []]);
  });

  it('a server that ends: its users have their grace to come to others', async () => {
    const ben = await pool.user(servers[0], 'ben', { project: P });
    await pool.user(servers[1], 'ben', { project: P });
    const anna = await pool.user(servers[2], 'anna', { project: P });
    await pool.user(servers[2], 'cleo', { project: P });
    for (const name of ['anna', 'cleo']) await ben.event('user:joined', (d) => d.user_id === name);
    const begun = Date.now();
    const ending = servers.pop().end();
    await anna.events.next((e) => e.name === 'disconnect');
    const back = await pool.user(servers[1], 'anna', { project: P });
    assert.deepEqual(names(back.joined), ['anna', 'ben', 'cleo']);
    assert.equal((await ben.event('user:left')).user_id, 'cleo');
    assert.ok(Date.now() - begun > GRACE_MS - 50, `${Date.now() - begun} ms`);
    await sleep(TOLD_MS);
    assert.deepEqual([heard(ben, 'user:left'), heard(ben, 'user:joined')], [[], []]);
    await ending;
    servers.push(await startServer({ dir: servers.dir, fill: 'none', env: servers.env }));
    await knowEachOther(servers);
  });

  it('a server is killed: its users leave once, when its lease ends and not before', async () => {
    const ben = await pool.user(servers[0], 'ben', { project: P });
    const near = await pool.user(servers[1], 'eve', { project: P });
    await ben.event('user:joined', (d) => d.user_id === 'eve');
    await pool.user(servers[2], 'anna', { project: P });
    await pool.user(servers[2], 'cleo', { project: P });
    for (const c of [ben, near]) for (const name of ['anna', 'cleo']) await c.event('user:joined', (d) => d.user_id === name);
    const dead = servers.pop();
    dead.stopped = true;
    dead.child.kill('SIGKILL');
    const died = Date.now();
    await dead.exited;
    await pool.user(servers[1], 'anna', { project: P }); // she is back somewhere else
    for (const c of [ben, near]) {
      assert.equal((await c.event('user:left', () => true, LONG)).user_id, 'cleo');
      const took = Date.now() - died;
      assert.ok(took > LEASE_MS - BEAT_MS - 200 && took < LEASE_MS + BEAT_MS + 1000, `${took} ms`);
    }
    await sleep(TOLD_MS);
    for (const c of [ben, near]) assert.deepEqual([heard(c, 'user:left'), heard(c, 'user:joined')], [[], []]);
    for (const s of servers) await until_listed(s, ['anna', 'ben', 'eve']);
    servers.push(await startServer({ dir: servers.dir, fill: 'none', env: servers.env }));
    await knowEachOther(servers);
    await until_listed(servers[2], ['anna', 'ben', 'eve']);
  });

  it('a server stands still for longer than its lease: its users leave and come again, and it keeps no ghost', async () => {
    const ben = await pool.user(servers[0], 'ben', { project: P });
    const going = await pool.user(servers[0], 'eve', { project: P });
    const anna = await pool.user(servers[2], 'anna', { project: P });
    await ben.event('user:joined', (d) => d.user_id === 'anna');
    servers[2].child.kill('SIGSTOP');
    const begun = Date.now();
    const late = await pool.user(servers[1], 'cleo', { project: P });
    assert.ok(Date.now() - begun < 3000, 'a join does not wait for a silent server for long');
    assert.ok(names(late.joined).includes('ben'));
    assert.equal((await ben.event('user:left', () => true, LONG)).user_id, 'anna');
    going.close();
    await ben.event('user:left', (d) => d.user_id === 'eve');
    servers[2].child.kill('SIGCONT');
    assert.equal((await ben.event('user:joined', (d) => d.user_id === 'anna', LONG)).user_id, 'anna');
    for (const s of servers) await until_listed(s, ['anna', 'ben', 'cleo'], LONG);
    await until(async () => (await state(anna)).length === 3, 'its own client knows all', LONG);
    await sleep(2 * BEAT_MS);
    assert.deepEqual(heard(anna, 'user:left'), ['eve']);
    assert.deepEqual(heard(anna, 'user:joined').filter((u) => u === 'cleo'), ['cleo']);
    assert.deepEqual([heard(ben, 'user:left'), heard(ben, 'user:joined').filter((u) => u !== 'cleo' && u !== 'eve')], [[], []]);
  });
});

describe('two servers and the line between them', () => {
  let redis, servers, proxy, far;
  before(async () => {
    redis = await startRedis();
    proxy = await new DeafProxy(redis.port).listen();
    servers = await startServers(1, { REDIS_URL: redis.url });
    far = await startServer({ dir: servers.dir, fill: 'none', env: { ...servers.env, REDIS_URL: `redis://127.0.0.1:${proxy.port}` } });
    await knowEachOther([servers[0], far]);
  });
  after(async () => {
    pool.close();
    await far?.end();
    await servers?.stop();
    proxy?.close();
    await redis?.stop();
  });

  it('is cut for longer than the lease, and users come and go on both sides: no ghost when it is mended', async () => {
    const ben = await pool.user(servers[0], 'ben', { project: P });
    const leaves = await pool.user(servers[0], 'eve', { project: P });
    const anna = await pool.user(far, 'anna', { project: P });
    const cleo = await pool.user(far, 'cleo', { project: P });
    await ben.event('user:joined', (d) => d.user_id === 'cleo');
    proxy.cut();
    await until(async () => (await verbose(servers[0])).nodes === 1, 'its lease ends', LONG);
    for (const name of ['anna', 'cleo']) await ben.event('user:left', (d) => d.user_id === name);
    leaves.close();
    cleo.close();
    await pool.user(servers[0], 'cleo', { project: P }); // from the one side to the other
    await sleep(TOLD_MS);
    proxy.mend();
    await knowEachOther([servers[0], far]);
    await ben.event('user:joined', (d) => d.user_id === 'anna', LONG);
    for (const s of [servers[0], far]) await until_listed(s, ['anna', 'ben', 'cleo'], LONG);
    await until(async () => String((await state(anna)).map((u) => u.user_id).sort()) === 'anna,ben,cleo', 'the far client knows', LONG);
    await sleep(2 * BEAT_MS);
    assert.equal(heard(anna, 'user:left').filter((u) => u === 'eve').length, 1);
    assert.equal(heard(anna, 'user:left').filter((u) => u === 'ben').length, 0); // its own server took nobody for gone
    assert.deepEqual([heard(ben, 'user:left').filter((u) => u !== 'eve'), heard(ben, 'user:joined').filter((u) => !['anna', 'cleo', 'eve'].includes(u))], [[], []]);
    assert.equal((await state(ben)).find((u) => u.user_id === 'cleo').connections, 1);
  });
});
