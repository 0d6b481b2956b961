// Several servers over a real Redis and one database: their stock clients are one crowd, and
// what happens to Redis happens to nobody's durable events.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { rmSync } from 'node:fs';
import net from 'node:net';
import { clientPool, COMES_BACK } from './lib/clients.mjs';
import { DeafProxy } from './lib/deaf.mjs';
import { freePort, run, serverEnv, SKYBUILD, startServer, tempDir } from './lib/harness.mjs';
import { request } from './lib/http.mjs';
import { PATIENCE, sleep, until } from './lib/queue.mjs';
import { startRedis } from './lib/redis.mjs';
import { knowEachOther, metric, startServers, verbose } from './lib/servers.mjs';

const pool = clientPool();
const P = 'proj-123';
const TOLD_MS = 600; // more than two looks of the store for what other servers have committed

// A change of the BoQ through that server.
const boq = (s, item, qty = '1') => s.broadcast('boq-update', { project_id: P, item_id: item, updates: { qty }, user_id: 'anna' });

// The numbers of the durable events that c was sent, when there are n.
async function numbers(c, n, name = 'boq:item:updated') {
  await until(() => c.all(name).length >= n, `${n} of ${name}`);
  return c.all(name).map((d) => d.seq);
}
// A cursor of one client comes to the other.  A subscription takes effect a moment after the
// join was answered; what is volatile may be lost until then.
const reaches = (from, to, cursor) =>
  until(() => {
    from.emit('cursor:move', { project_id: P, cursor });
    return to.all('cursor:moved').some((d) => d.cursor === cursor);
  }, 'the cursor comes to the other server');
const isDense = (seqs) => seqs.every((seq, i) => i === 0 || seq === seqs[i - 1] + 1);

after(() => pool.close());

describe('three servers', () => {
  let redis, servers;
  before(async () => {
    redis = await startRedis();
    servers = await startServers(3, { REDIS_URL: redis.url });
  });
  after(async () => {
    pool.close();
    await servers?.stop();
    await redis?.stop();
  });

  it("the guide's main path: joining, cursors, typing, leaving", async () => {
    const anna = await pool.user(servers[0], 'anna', { project: P });
    const ben = await pool.user(servers[1], 'ben', { project: P });
    const eve = await pool.user(servers[2], 'eve', { project: P });
    assert.equal((await anna.event('user:joined', (d) => d.user_id === 'ben')).project_id, P);
    await anna.event('user:joined', (d) => d.user_id === 'eve');
    await reaches(anna, ben, 'warm');
    await reaches(anna, eve, 'warm');
    anna.emit('cursor:move', { project_id: P, cursor: { x: 1 } });
    for (const c of [ben, eve]) assert.deepEqual((await c.event('cursor:moved', (d) => d.cursor !== 'warm')).cursor, { x: 1 });
    ben.emit('typing:start', { project_id: P, target: 'item-1' });
    for (const c of [anna, eve]) assert.equal((await c.event('typing:started')).user_id, 'ben');
    eve.emit('presence:update', { project_id: P, state: { on: 'boq' } });
    for (const c of [anna, ben]) assert.deepEqual((await c.event('presence:updated')).state, { on: 'boq' });
    eve.close();
    for (const c of [anna, ben]) assert.equal((await c.event('user:left')).user_id, 'eve');
    assert.deepEqual(anna.all('cursor:moved'), []);
    for (const c of [anna, ben]) c.close();
  });

  it('status, presence and connections are those of all servers', async () => {
    const anna = [await pool.user(servers[0], 'anna', { project: P }), await pool.user(servers[1], 'anna', { project: P })];
    const ben = await pool.user(servers[2], 'ben', { project: 'proj-456' });
    await until(async () => (await servers[0].status()).active_connections === 3, 'the counts');
    for (const s of servers) {
      assert.deepEqual(await s.status(), { enabled: true, redis_enabled: true, endpoint: '/socket.io', active_connections: 3, active_project_rooms: 2 });
      const { json } = await s.api('GET', `/api/projects/${P}/presence`, { key: true });
      assert.deepEqual(json.users.map((u) => [u.user_id, u.connections]), [['anna', 2]]);
      assert.deepEqual(json.missing_nodes, []);
      const user = (await s.api('GET', '/api/users/anna/connections', { key: true })).json;
      assert.equal(user.connections, 2);
      assert.deepEqual(new Set(user.sockets.map((x) => x.sid)), new Set(anna.map((c) => c.socket.id)));
    }
    assert.equal(new Set((await Promise.all(servers.map(verbose))).map((v) => v.node)).size, 3);
    for (const c of [...anna, ben]) c.close();
  });

  it('durable events, whichever server commits them: once, in one order, at every member', async () => {
    const members = [];
    for (const s of servers) members.push(await pool.user(s, 'anna', { project: P }), await pool.user(s, 'ben', { project: P, transports: ['polling'] }));
    const N = 150;
    const all = [];
    for (let i = 0; i < N; i++) all.push(boq(servers[i % 3], `item-${i}`));
    for (const r of await Promise.all(all)) assert.equal(r.status, 202);
    for (const c of members) await numbers(c, N);
    await sleep(TOLD_MS); // and no more
    for (const c of members) {
      const seqs = await numbers(c, N);
      assert.equal(seqs.length, N);
      assert.ok(isDense(seqs), seqs.join(' '));
      assert.equal(new Set(c.all('boq:item:updated').map((d) => d.item_id)).size, N);
      c.close();
    }
  });

  it('comes through Redis, not only when the store is looked at', async () => {
    const ben = await pool.user(servers[1], 'ben', { project: P });
    const anna = await pool.user(servers[0], 'anna', { project: P });
    await reaches(anna, ben, 'warm');
    const took = [];
    for (let i = 0; i < 10; i++) {
      const begun = performance.now();
      await Promise.all([ben.event('boq:item:updated', (d) => d.item_id === `fast-${i}`), boq(servers[0], `fast-${i}`)]);
      took.push(performance.now() - begun);
    }
    took.sort((a, b) => a - b);
    assert.ok(took[5] < 120, `${took.map((t) => t.toFixed(0))} ms`); // the store is looked at every 250 ms
    for (const c of [anna, ben]) c.close();
  });

  it('an event that is not for one socket does not reach it, whichever server looks first and whoever comes back', async () => {
    const anna = await pool.user(servers[1], 'anna', { ...COMES_BACK, project: P });
    const ben = await pool.user(servers[2], 'ben', { project: P });
    const sid = anna.socket.id;
    const emit = (i) => servers[i % 3].broadcast('emit', { room: `project:${P}`, event: 'less:one', data: { i }, except_sid: sid });
    const N = 150;
    for (const r of await Promise.all(Array.from({ length: N }, (_, i) => emit(i)))) assert.equal(r.status, 202);
    await until(() => ben.all('less:one').length === N, 'ben has all');
    await Promise.all([anna.event('less:last'), servers[0].broadcast('emit', { room: `project:${P}`, event: 'less:last', data: 1 })]);
    assert.deepEqual(anna.all('less:one'), [], 'live');
    anna.socket.io.engine.close(); // and what it misses
    for (const r of await Promise.all(Array.from({ length: 9 }, (_, i) => emit(i)))) assert.equal(r.status, 202);
    await servers[0].broadcast('emit', { room: `project:${P}`, event: 'less:missed', data: 1 });
    await anna.event('less:missed');
    assert.ok(anna.socket.recovered && anna.socket.id === sid);
    assert.deepEqual(anna.all('less:one'), [], 'missed');
    for (const c of [anna, ben]) c.close();
  });

  it('to any room and to a user, from any server, once', async () => {
    const ben = await pool.user(servers[1], 'ben', { project: P });
    const ben2 = await pool.user(servers[2], 'ben');
    const anna = await pool.user(servers[0], 'anna', { project: P });
    await reaches(anna, ben, 'warm');
    anna.close();
    for (const s of servers) {
      await s.broadcast('emit', { room: `project:${P}`, event: 'volatile:thing', data: { v: 1 }, volatile: true });
      await s.broadcast('emit', { room: 'user:ben', event: 'durable:thing', data: { d: 1 } });
      await s.broadcast('notify', { user_id: 'ben', notification_data: { message: 'hello' } });
    }
    for (const c of [ben, ben2]) for (const name of ['durable:thing', 'notification:new']) await until(() => c.all(name).length >= 3, `3 of ${name}`);
    await until(() => ben.all('volatile:thing').length >= 3, '3 of volatile:thing');
    await sleep(TOLD_MS); // and no more
    assert.equal(ben.all('volatile:thing').length, 3);
    for (const c of [ben, ben2]) {
      assert.equal(c.all('durable:thing').length, 3);
      assert.equal(c.all('notification:new').length, 3);
      c.close();
    }
  });

  it('a kick reaches every server', async () => {
    const clients = [];
    for (const s of servers) clients.push(await pool.user(s, 'cleo', { project: P }));
    const { json } = await servers[1].api('POST', '/api/users/cleo/disconnect', { key: true });
    assert.deepEqual(json, { user_id: 'cleo', disconnected: 3, missing_nodes: [] });
    for (const c of clients) assert.equal((await c.events.next((e) => e.name === 'disconnect', { timeout: PATIENCE })).args[0], 'io server disconnect');
  });

  it('access that is taken away is gone on every server within a second', async () => {
    const clients = [];
    for (const s of servers) clients.push(await pool.user(s, 'eve', { project: P }));
    const { status } = await servers[2].api('DELETE', `/api/projects/${P}/collaborators/eve`, { as: 'anna' });
    assert.ok(status < 300, String(status));
    for (const c of clients) {
      await c.event('access:revoked', (d) => d.project_id === P, { timeout: 1500 });
      c.close();
    }
    await servers[2].api('PUT', `/api/projects/${P}/collaborators/eve`, { as: 'anna', body: { role: 'commenter' } });
  });

  it('whoever can only publish cannot speak for a server', async () => {
    const anna = await pool.user(servers[0], 'anna', { project: P });
    const channels = (await redis.cli('PUBSUB', 'CHANNELS')).split('\n').filter(Boolean);
    assert.ok(channels.some((c) => c.endsWith(`project:${P}`)), channels.join(' '));
    assert.deepEqual(channels.filter((c) => !c.startsWith('{skybuild}')), ['socketio']); // where events alone may come from
    const before = await metric(servers[0], 'skybuild_redis_dropped_total{why="forged"}');
    // A frame as a server writes it, but for the tag; and a few that are none at all.
    const id = (await verbose(servers[1])).node;
    const at = BigInt(Date.now() + 1000) * 1000n;
    const body = Buffer.concat([Buffer.from('sk\x01\x01'), Buffer.alloc(20)]);
    const head = Buffer.concat([Buffer.from([1, 1]), Buffer.from(id), Buffer.alloc(8), Buffer.alloc(16)]);
    head.writeBigUInt64BE(at, 22);
    channels.sort((a, b) => (b === 'socketio') - (a === 'socketio')); // one warning shall not hide the other
    for (const c of channels) for (const frame of ['', 'hello', Buffer.concat([head, body]).toString('latin1')])
      await run('redis-cli', ['-p', String(redis.port), '-x', 'PUBLISH', c], { input: Buffer.from(frame, 'latin1') });
    await until(async () => (await metric(servers[0], 'skybuild_redis_dropped_total{why="forged"}')) >= before + 3, 'they are counted');
    for (const line of [/another secret, or another version, are refused/, /a message of a process of another kind is refused/])
      await until(() => servers[0].logged(line).length >= 1, `the log says ${line}`);
    await boq(servers[1], 'after-forgery');
    assert.equal((await anna.event('boq:item:updated')).item_id, 'after-forgery');
    assert.deepEqual(anna.events.peek((e) => !e.local && !/joined|connected|user:|boq/.test(e.name)), []);
    anna.close();
  });

  it('a message that was heard once is not heard again', async () => {
    const anna = await pool.user(servers[0], 'anna', { project: P });
    const channel = await until(async () => (await redis.cli('PUBSUB', 'CHANNELS')).split('\n').find((c) => c.endsWith(`project:${P}`)), 'the room has a channel');
    // Somebody listens, and says again what was said.
    const spy = net.connect(redis.port, '127.0.0.1');
    const heard = [];
    spy.on('data', (d) => heard.push(d));
    spy.write(`SUBSCRIBE ${channel}\r\n`);
    await until(() => heard.length > 0, 'the spy listens');
    await until(async () => (await redis.cli('PUBSUB', 'NUMSUB', channel)).trim().endsWith('2'), 'the server of anna listens, too');
    heard.length = 0;
    await servers[1].broadcast('emit', { room: `project:${P}`, event: 'once', data: 1, volatile: true });
    await anna.event('once');
    await until(() => heard.length > 0, 'the spy has heard it');
    spy.destroy();
    const wire = Buffer.concat(heard);
    const frame = wire.subarray(wire.indexOf(Buffer.from([1, 1])), wire.length - 2); // version and kind, up to the line's end
    const before = await metric(servers[0], 'skybuild_redis_dropped_total{why="repeated"}');
    await run('redis-cli', ['-p', String(redis.port), '-x', 'PUBLISH', channel], { input: frame });
    await until(async () => (await metric(servers[0], 'skybuild_redis_dropped_total{why="repeated"}')) > before, 'it is counted');
    assert.deepEqual(anna.all('once'), []);
    anna.close();
  });

  for (const [what, ...command] of [
    ['every connection is killed', 'CLIENT', 'KILL', 'TYPE', 'normal'],
    ['those that listen are killed', 'CLIENT', 'KILL', 'TYPE', 'pubsub'],
  ])
    it(`${what}: all is well again, durable events come through`, async () => {
      const members = [await pool.user(servers[0], 'anna', { project: P }), await pool.user(servers[1], 'ben', { project: P })];
      for (let i = 0; i < 5; i++) {
        const killed = Number(await redis.cli(...command));
        if (i === 0) assert.ok(killed >= 3, `${killed} connections were killed`);
        for (let k = 0; k < 4; k++) await boq(servers[(i + k) % 3], `kill-${i}-${k}`);
      }
      for (const c of members) {
        const seqs = await numbers(c, 20);
        assert.ok(seqs.length === 20 && isDense(seqs), seqs.join(' '));
      }
      await knowEachOther(servers);
      await reaches(members[0], members[1], `after ${what}`);
      for (const c of members) c.close();
    });

  it('Redis is killed and comes back in the middle of a load: nothing durable is lost or doubled', async () => {
    const members = [];
    for (const s of servers) members.push(await pool.user(s, 'anna', { project: P }), await pool.user(s, 'ben', { project: P }));
    let N = 0, isBack = false;
    const restart = (async () => {
      await until(() => N > 10, 'the load is there');
      await redis.kill();
      for (const s of servers) {
        await until(async () => (await verbose(s)).redis === 'down', 'the loss is told');
        const ready = await request(s.port, 'GET', '/readyz');
        assert.deepEqual([ready.status, ready.json.status, ready.json.redis], [200, 'degraded', 'down']);
        assert.equal(await metric(s, 'skybuild_redis_up'), 0);
        await until(async () => (await verbose(s)).missing_nodes.length === 2, 'the others are missing');
        const begun = Date.now();
        await verbose(s);
        assert.ok(Date.now() - begun < 1000, 'nobody is waited for');
      }
      // Who is on the same server is served meanwhile.
      members[0].emit('cursor:move', { project_id: P, cursor: 'meanwhile' });
      await members[1].event('cursor:moved', (d) => d.cursor === 'meanwhile');
      await redis.start();
    })().finally(() => (isBack = true));
    for (; N < 120 || !isBack; N++) { // before, without and with Redis
      const r = await boq(servers[N % 3], `restart-${N}`);
      assert.equal(r.status, 202);
      await sleep(8);
    }
    await restart;
    await knowEachOther(servers);
    for (const c of members) await numbers(c, N);
    await sleep(TOLD_MS); // and no more
    for (const c of members) {
      const seqs = await numbers(c, N);
      assert.equal(seqs.length, N);
      assert.ok(isDense(seqs), seqs.join(' '));
      c.close();
    }
    for (const s of servers) assert.ok(s.logged(/Redis: .*; local clients are served, trying again/).length >= 1);
  });

  it('a server that ends is gone at once, one that is killed after its lease; a new one is there', async () => {
    const three = servers.pop();
    await three.end();
    await knowEachOther(servers);
    assert.ok(servers[0].logged(/Redis: node \S+ is gone/).length >= 1);
    servers.push(await startServer({ dir: servers.dir, fill: 'none', env: servers.env }));
    await knowEachOther(servers);
    const dead = servers.pop();
    await dead.kill();
    const { json } = await servers[0].api('GET', '/api/users/anna/connections', { key: true });
    assert.equal(json.missing_nodes.length, 1); // it is still waited for
    await until(async () => (await verbose(servers[0])).nodes === 2, 'its lease ends', { timeout: 20000 });
  });
});

describe('Redis that does not answer', () => {
  let redis, servers;
  before(async () => {
    redis = await startRedis();
    servers = await startServers(2, { REDIS_URL: redis.url });
  });
  after(async () => {
    pool.close();
    await servers?.stop();
    await redis?.stop();
  });

  it('it sleeps: local clients are served; then all is as before', async () => {
    const members = [await pool.user(servers[0], 'anna', { project: P }), await pool.user(servers[1], 'ben', { project: P })];
    const near = await pool.user(servers[0], 'eve', { project: P });
    const sleeping = redis.cli('DEBUG', 'SLEEP', '9');
    await until(async () => (await Promise.race([redis.cli('PING'), sleep(300).then(() => '')])) !== 'PONG', 'Redis sleeps');
    members[0].emit('cursor:move', { project_id: P, cursor: 'asleep' });
    await near.event('cursor:moved', (d) => d.cursor === 'asleep', { timeout: 1000 });
    await until(async () => (await verbose(servers[0])).redis === 'down', 'it is told', { timeout: 15000 });
    await boq(servers[0], 'asleep');
    for (const c of [...members, near]) await c.event('boq:item:updated', (d) => d.item_id === 'asleep');
    await sleeping;
    await until(async () => (await Promise.all(servers.map(verbose))).every((v) => v.redis === 'ok' && v.nodes === 2), 'it is back', { timeout: 15000 });
    await reaches(members[0], members[1], 'awake');
    for (const c of [...members, near]) c.close();
  });

  it('the listening connection is deaf though it is open: it is made anew', async () => {
    const members = [await pool.user(servers[0], 'anna', { project: P }), await pool.user(servers[1], 'ben', { project: P })];
    const proxy = await new DeafProxy(redis.port).listen();
    const own = await startServer({ dir: servers.dir, fill: 'none', env: { ...servers.env, REDIS_URL: `redis://127.0.0.1:${proxy.port}` } });
    await until(async () => (await verbose(own)).nodes === 3, 'it is there');
    proxy.deafen();
    await until(async () => (await metric(own, 'skybuild_redis_deaf_total')) > 0, 'it is noticed', { timeout: 15000 });
    await until(async () => (await verbose(own)).redis === 'ok', 'it is well again', { timeout: 15000 });
    assert.ok(own.logged(/lets us hear nothing, not even ourselves/).length >= 1);
    const eve = await pool.user(own, 'eve', { project: P });
    await reaches(members[0], eve, 'heard');
    for (const c of [...members, eve]) c.close();
    await own.end();
    proxy.close();
    assert.equal(await metric(servers[0], 'skybuild_redis_deaf_total'), 0); // the others had no part in it
  });
});

describe('the start', () => {
  const dir = tempDir();
  after(() => rmSync(dir, { recursive: true, force: true }));
  const serve = (env, timeout = 20000) => run(SKYBUILD, ['serve'], { cwd: dir, env: serverEnv(dir, { REDIS_ENABLED: 'true', ...env }), timeout });
  const lines = (got) => (got.stderr + got.stdout).split('\n').filter((l) => /redis/i.test(l));

  it('without Redis it fails within 5 s with one line', async () => {
    const port = await freePort();
    const begun = Date.now();
    const got = await serve({ REDIS_URL: `redis://someone:geheim@127.0.0.1:${port}/0` });
    assert.equal(got.code, 1);
    assert.ok(Date.now() - begun < 5500, `${Date.now() - begun} ms`);
    assert.equal(lines(got).length, 1, got.stderr);
    assert.match(lines(got)[0], new RegExp(`REDIS_URL=redis://127.0.0.1:${port}/0 cannot be used: connection refused\\. Is Redis running \\(redis-cli ping`));
    assert.doesNotMatch(got.stderr, /geheim/);
  });

  it('with REDIS_REQUIRED=false it starts degraded, and joins when Redis comes', async () => {
    const redis = await startRedis();
    await redis.kill();
    const s = await startServer({ env: { REDIS_ENABLED: 'true', REDIS_REQUIRED: 'false', REDIS_URL: redis.url } });
    const ready = await request(s.port, 'GET', '/readyz');
    assert.deepEqual([ready.status, ready.json.redis], [200, 'down']);
    assert.ok(s.logged(/started without it/).length === 1);
    const anna = await pool.user(s, 'anna', { project: P });
    await boq(s, 'alone');
    await anna.event('boq:item:updated');
    await redis.start();
    await until(async () => (await verbose(s)).redis === 'ok', 'it joins');
    anna.close();
    await s.stop();
    await redis.stop();
  });

  it('a wrong password, and a user with the right one', async () => {
    const redis = await startRedis('--requirepass', 'geheim');
    for (const person of ['', ':falsch@', 'niemand:geheim@']) {
      const got = await serve({ REDIS_URL: `redis://${person}127.0.0.1:${redis.port}` });
      assert.equal(got.code, 1);
      assert.equal(lines(got).length, 1, got.stderr);
      assert.match(lines(got)[0], /NOAUTH|WRONGPASS/);
      assert.doesNotMatch(got.stderr, /geheim|falsch/);
    }
    const cli = (...args) => redis.cli('-a', 'geheim', '--no-auth-warning', ...args);
    await cli('ACL', 'SETUSER', 'sky', 'on', '>a:b', 'resetchannels', '&{skybuild}*', '+publish', '+subscribe', '+unsubscribe');
    const s = await startServer({ env: { REDIS_ENABLED: 'true', REDIS_URL: `redis://sky:a%3Ab@127.0.0.1:${redis.port}` } });
    assert.equal((await verbose(s)).redis, 'ok');
    await s.stop();
    await cli('ACL', 'SETUSER', 'sky', 'resetchannels', '&other*');
    const got = await serve({ REDIS_URL: `redis://sky:a%3Ab@127.0.0.1:${redis.port}` });
    assert.match(lines(got)[0], /NOPERM/);
    await redis.stop();
  });

  it('what is not possible is refused with the reason', async () => {
    for (const [url, why] of [
      ['rediss://127.0.0.1:6379', /TLS to Redis is not possible: hiredis 0\.14/],
      ['valkeys://127.0.0.1:6379', /TLS to Redis is not possible/],
      ['redis+sentinel://127.0.0.1:26379', /Sentinel is not asked for the master/],
      ['redis://127.0.0.1:6379/x', /its database must be a number/],
      ['redis://user@127.0.0.1:6379', /user without a password/],
    ]) {
      for (const args of [['serve'], ['serve', '--check']]) {
        const got = await run(SKYBUILD, args, { cwd: dir, env: serverEnv(dir, { REDIS_ENABLED: 'true', REDIS_URL: url }) });
        assert.equal(got.code, 1, url);
        assert.match(got.stderr, why);
      }
    }
  });

  it('over a socket, another database, and a cluster with sharded channels', async () => {
    const redis = await startRedis('--unixsocket', 'redis.sock');
    const s = await startServer({ env: { REDIS_ENABLED: 'true', REDIS_URL: `unix://${redis.dir}/redis.sock?db=3` } });
    assert.equal((await verbose(s)).redis, 'ok');
    await s.stop();
    await redis.stop();
    const cluster = await startRedis('--cluster-enabled', 'yes');
    await cluster.cli('CLUSTER', 'ADDSLOTSRANGE', '0', '16383');
    await until(async () => /cluster_state:ok/.test(await cluster.cli('CLUSTER', 'INFO')), 'the cluster works');
    const servers = await startServers(2, { REDIS_URL: cluster.url });
    const [anna, ben] = [await pool.user(servers[0], 'anna', { project: P }), await pool.user(servers[1], 'ben', { project: P })];
    await reaches(anna, ben, 1);
    assert.equal((await cluster.cli('PUBSUB', 'CHANNELS')), 'socketio'); // processes of other kinds know nothing of shards
    assert.ok((await cluster.cli('PUBSUB', 'SHARDCHANNELS')).split('\n').length >= 4);
    for (const c of [anna, ben]) c.close();
    await servers.stop();
    await cluster.stop();
  });

  it('a cluster of two: the servers go to the node that has their channels', async () => {
    const nodes = [await startRedis('--cluster-enabled', 'yes'), await startRedis('--cluster-enabled', 'yes')];
    await nodes[0].cli('CLUSTER', 'ADDSLOTSRANGE', '0', '8191');
    await nodes[1].cli('CLUSTER', 'ADDSLOTSRANGE', '8192', '16383');
    await nodes[0].cli('CLUSTER', 'MEET', '127.0.0.1', nodes[1].port);
    await until(async () => {
      const all = await Promise.all(nodes.map((n) => n.cli('CLUSTER', 'INFO')));
      return all.every((t) => /cluster_state:ok/.test(t) && /cluster_known_nodes:2/.test(t));
    }, 'the cluster works', { timeout: 20000 });
    const owner = Number(await nodes[0].cli('CLUSTER', 'KEYSLOT', '{skybuild}a')) < 8192 ? 0 : 1;
    const servers = await startServers(2, { REDIS_URL: nodes[1 - owner].url }); // the one that has them not
    const [anna, ben] = [await pool.user(servers[0], 'anna', { project: P }), await pool.user(servers[1], 'ben', { project: P })];
    await reaches(anna, ben, 1);
    assert.ok((await nodes[owner].cli('PUBSUB', 'SHARDCHANNELS')).split('\n').length >= 4);
    await nodes[1 - owner].cli('PUBLISH', 'socketio', JSON.stringify({ method: 'emit', event: 'py:cluster', data: [7], namespace: '/', room: `project:${P}` }));
    for (const c of [anna, ben]) assert.equal(await c.event('py:cluster'), 7);
    for (const c of [anna, ben]) c.close();
    await servers.stop();
    for (const n of nodes) await n.stop();
  });
});
