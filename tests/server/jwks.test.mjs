// Keys from JWT_JWKS_URL: a real issuer that rotates, is away, hangs and lies (hostile 201, 207, 210,
// 221, 224).  Connecting, REST and auth:refresh; one worker and two.
import assert from 'node:assert/strict';
import { createHmac, randomUUID } from 'node:crypto';
import { readFileSync, rmSync } from 'node:fs';
import { after, afterEach, describe, it } from 'node:test';
import { makeCert } from './lib/cert.mjs';
import { clientPool, COMES_BACK } from './lib/clients.mjs';
import { cliIn, freePort, metricOf, serverEnv, startServer, tempDir } from './lib/harness.mjs';
import { request } from './lib/http.mjs';
import { makeKey, startIssuer, tokenOf } from './lib/issuer.mjs';
import { until } from './lib/queue.mjs';

const pool = clientPool();
const A = makeKey('a'), B = makeKey('b', 'RS256'), C = makeKey('c', 'PS256'), STRANGER = makeKey('stranger');
const ALGS = 'HS256,RS256,PS256,ES256';
const ended = [];
afterEach(async () => {
  pool.close();
  for (const it of ended.splice(0).reverse()) await it.stop();
});

const issuing = async (...args) => (ended.push(await startIssuer(...args)), ended.at(-1));
async function serving(issuer, { env, ...options } = {}) {
  const server = await startServer({ env: { JWT_ALGORITHMS: ALGS, JWT_JWKS_URL: issuer.url, LOG_LEVEL: 'debug', ...env }, ...options });
  ended.push(server);
  return server;
}
// A server that has its keys.
async function ready(issuer, options) {
  const server = await serving(issuer, options);
  await until(async () => (await health(server)).status === 200, 'the server has keys');
  return server;
}
const health = (server) => request(server.port, 'GET', '/readyz');
const list = (server, token, opts) => request(server.port, 'GET', '/api/projects', { headers: { authorization: `Bearer ${token}` }, ...opts });
const connect = (server, token, options) => pool.open(server.url, { auth: { token }, transports: ['websocket'], ...options });
const anna = (key, options) => tokenOf(key, { sub: 'anna' }, options);
const metrics = async (server) => (await request(server.port, 'GET', '/metrics')).body;
const fetches = async (server, result) => metricOf(await metrics(server), `skybuild_jwks_fetches_total{result="${result}"}`);
async function refused(server, token, code = 'token_invalid') {
  const res = await list(server, token);
  assert.equal(res.status, 401, res.body);
  assert.equal(res.json.code, code);
  const error = await connect(server, token).event('connect_error');
  assert.equal(error.message, 'Authentication required');
  assert.equal(error.data.code, code);
}
async function accepted(server, token) {
  const res = await list(server, token);
  assert.equal(res.status, 200, res.body);
  const c = connect(server, token);
  await c.event('connected');
  return c;
}
// The keys anew, whatever their age.
async function hangup(server, result) {
  const before = await fetches(server, result);
  process.kill(server.pid, 'SIGHUP');
  await until(async () => (await fetches(server, result)) > before, `a fetch that ends as ${result}`);
}

describe('a set of keys', () => {
  it('each kind of key signs; HS256 stays beside them; nothing else is let in', async () => {
    const issuer = await issuing([A, B, C]);
    const server = await ready(issuer);
    for (const key of [A, B, C]) await accepted(server, anna(key));
    await accepted(server, server.token('anna'));
    await refused(server, anna(STRANGER));
    // Another's signature under a known name; a name for another algorithm.
    await refused(server, anna({ ...STRANGER, kid: 'a' }));
    await refused(server, anna({ ...B, kid: 'a' }));
    await refused(server, anna(A, { ttl: -3600 }), 'token_expired');
    assert.equal((await health(server)).json.keys, 'ok');
    assert.equal((await request(server.port, 'GET', '/ws/status?verbose=1')).json.keys, 'ok');
    assert.equal(metricOf(await metrics(server), 'skybuild_jwks_keys'), 3);
    assert.ok(metricOf(await metrics(server), 'skybuild_jwks_age_seconds') < 60);
  });

  it('HS256 signed with the text of a public key, in every form', async () => {
    const issuer = await issuing([B]);
    const server = await ready(issuer);
    const pem = B.publicKey.export({ type: 'spki', format: 'pem' });
    const secrets = [pem, pem.trimEnd(), B.publicKey.export({ type: 'spki', format: 'der' }), B.publicKey.export({ type: 'pkcs1', format: 'pem' }),
      JSON.stringify(B.jwk), JSON.stringify({ keys: [B.jwk] }), Buffer.from(B.jwk.n, 'base64url'), B.jwk.n, ''];
    const text = (kid) => anna({ ...B, kid }, {}).split('.').slice(1, 2)[0];
    for (const secret of secrets)
      for (const kid of ['b', undefined]) {
        const signed = `${Buffer.from(JSON.stringify({ alg: 'HS256', kid })).toString('base64url')}.${text('b')}`;
        const token = `${signed}.${createHmac('sha256', secret).update(signed).digest('base64url')}`;
        const res = await list(server, token);
        assert.equal(res.status, 401);
      }
  });

  it('kids of every shape: refused, the log says which, escaped', async () => {
    const issuer = await issuing([A, B]);
    const server = await ready(issuer);
    for (const kid of ['../../dev/null', "' OR 1=1 --", 'x\ny INFO forged', 'k'.repeat(255), 'k'.repeat(256), 'ключ', '', 7, null, ['a'], { a: 1 }])
      assert.equal((await list(server, anna(A, { header: { kid } }))).json?.code, 'token_invalid', String(kid));
    // Without one: the only key that fits.
    assert.equal((await list(server, anna(A, { header: { kid: undefined } }))).status, 200);
    issuer.keys = [A, makeKey('a2'), B];
    await hangup(server, 'new');
    await until(async () => (await list(server, anna(A, { header: { kid: undefined } }))).status === 401, 'two keys fit');
    const lines = server.logged(/token refused/);
    assert.ok(lines.some((l) => l.includes("kid '../../dev/null'")), lines.join('\n'));
    assert.ok(!server.lines.some((l) => /^\S+ INFO forged/.test(l) || l.includes('k'.repeat(65))));
  });

  it('keys that must not be used are left out, the others work', async () => {
    const secret = makeKey('private', 'RS256'), enc = makeKey('enc', 'RS256'), bare = makeKey('bare', 'RS256');
    const issuer = await issuing([
      { ...secret.privateKey.export({ format: 'jwk' }), kid: 'private', alg: 'RS256', use: 'sig' },
      { ...enc.jwk, use: 'enc' },
      { kty: 'oct', k: 'c2VjcmV0', kid: 'oct', alg: 'HS256' },
      { kty: bare.jwk.kty, n: bare.jwk.n, e: bare.jwk.e },
      A,
    ]);
    const server = await ready(issuer);
    assert.match((await server.waitLog(/private key/)), /ERROR/);
    await accepted(server, anna(A));
    // One without kid, alg and use is the only one for a token without a kid.
    await accepted(server, anna(bare, { header: { kid: undefined } }));
    for (const key of [secret, enc]) await refused(server, anna(key));
    assert.equal(metricOf(await metrics(server), 'skybuild_jwks_keys'), 2);
  });
});

describe('rotation', () => {
  for (const workers of [1, 2])
    it(`under load, ${workers} worker${workers > 1 ? 's' : ''}: old keys go on, the new one works at once, nobody is refused wrongly`, async () => {
      const issuer = await issuing([A]);
      const server = await ready(issuer, { env: { WORKERS: workers } });
      let goes = true, calls = 0;
      const load = Array.from({ length: 4 }, async () => {
        while (goes) {
          assert.equal((await list(server, anna(A))).status, 200);
          calls++;
        }
      });
      await until(() => calls > 20, 'some calls');
      const before = issuer.asked;
      issuer.keys = [A, B];
      // Many at once with the new key: one fetch for all of them.
      const got = await Promise.all(Array.from({ length: 40 }, () => list(server, anna(B))));
      assert.deepEqual([...new Set(got.map((r) => r.status))], [200]);
      const clients = Array.from({ length: 10 }, () => connect(server, anna(B)));
      for (const c of clients) await c.event('connected');
      assert.equal(issuer.asked, before + 1);
      goes = false;
      await Promise.all(load);
      // A key that has left the set is believed no longer, however often its tokens were seen.
      const seen = anna(A);
      for (let i = 0; i < 8; i++) assert.equal((await list(server, seen)).status, 200);
      issuer.keys = [B];
      await hangup(server, 'new');
      const isRefused = async () => (await list(server, seen)).status === 401;
      await until(async () => (await Promise.all(Array.from({ length: 8 }, isRefused))).every(Boolean), 'what was seen is refused');
      await refused(server, anna(A));
      await accepted(server, anna(B));
    });

  it('auth:refresh with a new key waits for it, and the client may go meanwhile', async () => {
    const issuer = await issuing([A]);
    const server = await ready(issuer);
    const c = await accepted(server, anna(A)), gone = await accepted(server, anna(A));
    issuer.keys = [A, B];
    let release;
    issuer.answer = (req, res) => (release = () => issuer.publish(res));
    const answer = c.ask('auth:refresh', { token: anna(B) });
    const connecting = connect(server, anna(B)), leaving = connect(server, anna(B));
    const call = list(server, anna(B));
    await until(() => release, 'a fetch');
    gone.emit('auth:refresh', { token: anna(B) });
    await gone.settle().catch(() => {});
    gone.close();
    leaving.close();
    await assert.rejects(list(server, anna(B), { timeout: 50 })); // it hangs up
    await c.settle(); // events of who waits go on
    release();
    assert.equal((await answer).ok, true);
    await connecting.event('connected');
    assert.equal((await call).status, 200);
    const other = await c.ask('auth:refresh', { token: tokenOf(B, { sub: 'ben' }) });
    assert.equal(other.error.code, 'user_mismatch');
    assert.equal((await c.ask('auth:refresh', { token: anna(STRANGER) })).error.code, 'token_invalid');
  });

  it('10,000 random kids: one fetch; those with good tokens notice nothing', async () => {
    const issuer = await issuing([A]);
    const server = await ready(issuer);
    const before = issuer.asked, begun = Date.now(), [, ...rest] = anna(A).split('.');
    const flood = async () => {
      for (let i = 0; i < 500; i++) {
        const token = [Buffer.from(JSON.stringify({ alg: 'ES256', kid: randomUUID() })).toString('base64url'), ...rest].join('.');
        const { status } = await list(server, token, { agent });
        assert.ok(status === 401 || status === 503, String(status));
      }
    };
    const { Agent } = await import('node:http');
    const agent = new Agent({ keepAlive: true });
    await Promise.all([...Array.from({ length: 20 }, flood), (async () => {
      for (let i = 0; i < 50; i++) assert.equal((await list(server, anna(A))).status, 200);
    })()]);
    agent.destroy();
    const windows = Math.floor((Date.now() - begun) / 30000) + 1;
    assert.ok(issuer.asked - before >= 1 && issuer.asked - before <= windows, `${issuer.asked - before} fetches`);
    await accepted(server, anna(A));
  });
});

describe('an issuer that fails', () => {
  it('is away at the start, then comes: 503 and "come again", never "invalid"', async () => {
    const port = await freePort();
    const server = await serving({ url: `http://127.0.0.1:${port}/keys` });
    assert.match(await server.waitLog(/no keys/), /WARNING.*trying again/);
    const not = await health(server);
    assert.equal(not.status, 503);
    assert.equal(not.json.keys, 'none');
    assert.equal((await request(server.port, 'GET', '/healthz')).status, 200);
    // HS256 needs no issuer.
    await accepted(server, server.token('anna'));
    // Long enough away that it is not waited for.
    await until(async () => (await fetches(server, 'unreachable')) >= 5, 'some attempts', { timeout: 30000 });
    const res = await list(server, anna(A));
    assert.equal(res.status, 503, res.body);
    assert.equal(res.json.code, 'keys_unavailable');
    assert.ok(Number(res.headers['retry-after']) > 0);
    const c = connect(server, anna(A), COMES_BACK);
    await c.lost().catch(() => {});
    assert.equal(c.all('connect_error').filter((e) => e.data?.code).length, 0);
    await issuing([A], { port });
    process.kill(server.pid, 'SIGHUP');
    await c.event('connected', undefined, { timeout: 20000 });
    await until(async () => (await health(server)).status === 200, 'ready');
    await server.waitLog(/JWT_JWKS_URL=\S+: 1 keys/);
  });

  it('500, nonsense, no keys, 10 MB, redirects: the old keys go on', async () => {
    const issuer = await issuing([A]);
    const server = await ready(issuer);
    const trap = await issuing([STRANGER]);
    const body = (text) => (req, res) => res.end(text);
    const to = (location) => (req, res) => res.writeHead(302, { location }).end(JSON.stringify({ keys: [STRANGER.jwk] }));
    for (const [answer, result] of [
      [(req, res) => res.writeHead(500).end(JSON.stringify({ keys: [STRANGER.jwk] })), 'status'],
      [(req, res) => res.writeHead(204).end(), 'status'],
      [(req, res) => res.socket.destroy(), 'unreachable'],
      [body('<html>'), 'unusable'],
      [body(''), 'unusable'],
      [body('{"keys":[]}'), 'unusable'],
      [body('{"keys":[{"kty":"oct","k":"c2VjcmV0"}]}'), 'unusable'],
      [body('['.repeat(100000)), 'unusable'],
      [body(' '.repeat(10 << 20)), 'unreachable'],
      [to(trap.url), 'status'],
      [to('http://169.254.169.254/latest/meta-data'), 'status'],
      [to('file:///etc/passwd'), 'status'],
    ]) {
      issuer.answer = answer;
      await hangup(server, result);
      assert.equal((await list(server, anna(A))).status, 200);
      assert.equal((await health(server)).json.keys, 'stale');
    }
    await accepted(server, anna(A));
    await refused(server, anna(STRANGER));
    assert.equal(trap.asked, 0);
    assert.equal((await health(server)).status, 200);
    issuer.answer = null;
    await hangup(server, 'same');
    assert.equal((await health(server)).json.keys, 'ok');
  });

  for (const [what, answer] of [
    ['hangs', () => {}],
    ['drips', (req, res) => {
      res.writeHead(200, { 'content-type': 'application/json' });
      const timer = setInterval(() => res.write(' '), 100);
      res.on('close', () => clearInterval(timer));
    }],
  ])
    it(`${what}: the loop goes on, who waits is answered in time, the server ends meanwhile`, async () => {
      const issuer = await issuing([A]);
      const server = await ready(issuer);
      const c = await accepted(server, anna(A));
      issuer.answer = answer;
      const begun = Date.now();
      let waits = true;
      const waiting = list(server, anna(STRANGER)).finally(() => (waits = false));
      const connecting = connect(server, anna(STRANGER));
      let slowest = 0, n = 0;
      while (waits) {
        const at = performance.now();
        await c.settle();
        slowest = Math.max(slowest, performance.now() - at);
        n++;
      }
      assert.equal((await waiting).json.code, 'token_invalid');
      assert.equal((await connecting.event('connect_error')).data.code, 'token_invalid');
      assert.ok(Date.now() - begun < 7000, `${Date.now() - begun} ms`);
      assert.ok(n > 50 && slowest < 2500, `${n} round trips, the slowest of ${slowest} ms`);
      console.log(`round trips while the issuer ${what}: ${n}, the slowest ${slowest.toFixed(1)} ms`);
      assert.equal((await list(server, anna(A))).status, 200);
      // One fetch hangs while the server is told to end.
      const asked = issuer.asked;
      process.kill(server.pid, 'SIGHUP');
      await until(() => issuer.asked > asked, 'a fetch');
      const ending = Date.now();
      ended.splice(ended.indexOf(server), 1);
      pool.close();
      await server.stop();
      assert.ok(Date.now() - ending < 4000, `the end took ${Date.now() - ending} ms`);
    });

  it('requests that wait when the server ends: answered, not told that they are wrong', async () => {
    const issuer = await issuing([A]);
    const server = await ready(issuer);
    issuer.answer = issuer.hang;
    const call = list(server, anna(B)).catch((e) => e);
    const c = connect(server, anna(B));
    await until(() => issuer.held.length > 0, 'a fetch');
    ended.splice(ended.indexOf(server), 1);
    await server.stop();
    const res = await call;
    assert.ok(res instanceof Error || res.status === 503, String(res.status));
    assert.equal(c.all('connect_error').filter((e) => e.data?.code).length, 0);
  });
});

describe('TLS and the address', () => {
  const dirs = [];
  after(() => dirs.forEach((d) => rmSync(d, { recursive: true, force: true })));
  const cert = async (names) => {
    const dir = tempDir();
    dirs.push(dir);
    const { cert: file, key, pem } = await makeCert(dir, 'localhost', names);
    return { file, tls: { cert: pem, key: readFileSync(key) } };
  };

  it('SSL_CERT_FILE vouches for the issuer; without it, and for a wrong name, there are no keys', async () => {
    const { file, tls } = await cert();
    const issuer = await issuing([A], { tls });
    await accepted(await ready(issuer, { env: { SSL_CERT_FILE: file } }), anna(A));
    const unknown = await serving(issuer);
    assert.match(await unknown.waitLog(/no keys/), /certificate/i);
    assert.equal((await health(unknown)).status, 503);
    const wrong = await serving(await issuing([A], { tls, host: '127.0.0.2' }), { env: { SSL_CERT_FILE: file } });
    assert.match(await wrong.waitLog(/no keys/), /127\.0\.0\.2/);
    assert.equal((await health(wrong)).json.keys, 'none');
  });

  it('user and password go to the issuer and into no line', async () => {
    const issuer = await issuing([A]);
    const url = issuer.url.replace('://', '://skybuild:geheim@') + '?key=geheim2';
    const server = await ready({ url }, { env: { http_proxy: 'http://127.0.0.1:9', all_proxy: 'http://127.0.0.1:9' } });
    assert.equal(issuer.last.headers.authorization, `Basic ${Buffer.from('skybuild:geheim').toString('base64')}`);
    issuer.answer = (req, res) => res.writeHead(401).end();
    await hangup(server, 'status');
    assert.ok(!server.lines.some((l) => l.includes('geheim')), server.lines.join('\n'));
  });

  it('serve --check fetches once and says what came; a dead issuer is no fault of the configuration', async () => {
    const dir = tempDir();
    dirs.push(dir);
    const issuer = await issuing([A, { ...B.jwk, use: 'enc' }]);
    const check = (url) => cliIn(dir, serverEnv(dir, { JWT_ALGORITHMS: ALGS, JWT_JWKS_URL: url }), ['serve', '--check'], { fails: true });
    const good = await check(issuer.url);
    assert.equal(good.code, 0, good.stderr);
    assert.match(good.stderr, /JWT_JWKS_URL: 1 keys/);
    assert.match(good.stderr, /left out/);
    const dead = await check(`http://127.0.0.1:${await freePort()}/`);
    assert.equal(dead.code, 0, dead.stderr);
    assert.match(dead.stderr, /JWT_JWKS_URL gives no keys/);
  });
});
