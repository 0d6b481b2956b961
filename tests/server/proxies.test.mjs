// Behind proxies: whose X-Forwarded headers are believed, and what follows from them: the
// client's address in logs and limits, the server's own origin.
import assert from 'node:assert/strict';
import { readFileSync, rmSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import net from 'node:net';
import { after, afterEach, before, describe, it } from 'node:test';
import { makeCert } from './lib/cert.mjs';
import { Client, clientPool, TRANSPORTS } from './lib/clients.mjs';
import { RawWs } from './lib/eio.mjs';
import { startServer, tempDir } from './lib/harness.mjs';
import { request } from './lib/http.mjs';

const HANDSHAKE = '/socket.io/?EIO=4&transport=polling';
const dir = tempDir();
const pool = clientPool();
let behind, open; // a server that trusts 127.0.0.1 and 10.0.0.0/8; one that trusts nobody

before(async () => {
  behind = await startServer({ env: { TRUSTED_PROXIES: '127.0.0.1, 10.0.0.0/8', MAX_CONNECTIONS_PER_USER: 0 } });
  open = await startServer({ env: { MAX_CONNECTIONS_PER_USER: 0 } });
});
afterEach(() => pool.close());
after(async () => {
  pool.close();
  await behind?.stop();
  await open?.stop();
  rmSync(dir, { recursive: true, force: true });
});

const login = (server, username, forwarded) =>
  request(server.port, 'POST', '/api/auth/login', { json: { username, password: 'wrong' }, headers: forwarded ? { 'x-forwarded-for': forwarded } : {} });

// Come without a token: the log says from where.
async function refusedFrom(server, forwarded, address) {
  server.log.clear();
  const w = await new RawWs(server.port, { headers: forwarded ? { 'x-forwarded-for': forwarded } : {} }).handshakeDone();
  w.send('40');
  await w.text('44{');
  w.destroy();
  const line = await server.waitLog(/Client refused: token_missing/);
  assert.ok(line.endsWith(`from ${address}`), line);
}

// 130 logins of one name, of which ten are checked and all count for their address; then
// 20 of names that are new: is one refused, it is for the address.
async function isLimited(server, from) {
  await Promise.all(Array.from({ length: 130 }, (_, i) => login(server, 'nobody', from(i))));
  const got = await Promise.all(Array.from({ length: 20 }, (_, i) => login(server, `nobody-${i}`, from(130 + i))));
  return got.some((res) => res.status === 429);
}

describe('the client’s address', () => {
  for (const [name, forwarded, want] of [
    ['one proxy', '192.0.2.7', '192.0.2.7'],
    ['a chain of trusted ones', '192.0.2.7, 10.1.1.1', '192.0.2.7'],
    ['what the client wrote itself', '6.6.6.6, 192.0.2.7', '192.0.2.7'],
    ['IPv6', '2001:db8::7', '2001:db8::7'],
    ['garbage', '<script>', '127.0.0.1'],
    ['1,000 hops', Array.from({ length: 1000 }, (_, i) => `10.0.0.${i % 250}`).join(','), '10.0.0.234'],
    ['none', undefined, '127.0.0.1'],
  ])
    it(`in the log, ${name}`, () => refusedFrom(behind, forwarded, want));

  it('in the log, of a peer that is not trusted', () => refusedFrom(open, '192.0.2.7', '127.0.0.1'));

  it('in the log of a wrong service key', async () => {
    behind.log.clear();
    const got = await request(behind.port, 'POST', '/api/broadcast/emit', { json: {}, headers: { authorization: 'Bearer wrong', 'x-forwarded-for': '192.0.2.9' } });
    assert.ok(got.status === 401 || got.status === 403);
    await behind.waitLog(/a back-end call from 192\.0\.2\.9 has a wrong service key/);
  });

  it('in the limit of logins: each client has its own', { timeout: 120000 }, async () => {
    assert.ok(await isLimited(behind, () => '192.0.2.50'));
    assert.equal((await login(behind, 'somebody', '192.0.2.51')).status, 401);
    assert.equal((await login(behind, 'somebody')).status, 401);
    assert.equal(await isLimited(behind, (i) => `198.51.100.${i}`), false);
  });

  it('whom nobody vouches for cannot have a new one with each request', { timeout: 120000 }, async () => {
    assert.ok(await isLimited(open, (i) => `198.51.100.${i}`));
  });
});

describe('the own origin', () => {
  const ask = (server, headers) => request(server.port, 'GET', HANDSHAKE, { headers });
  const forwarded = { 'x-forwarded-proto': 'https', 'x-forwarded-host': 'app.example' };

  for (const [name, headers, trusted, untrusted] of [
    ['what the proxy says', { origin: 'https://app.example', ...forwarded }, 200, 403],
    ['in any case of letters', { origin: 'HTTPS://App.Example', ...forwarded }, 200, 403],
    ['http is another', { origin: 'http://app.example', ...forwarded }, 403, 403],
    ['a longer name is another', { origin: 'https://app.example.evil.example', ...forwarded }, 403, 403],
    ['the scheme alone', { origin: 'https://app.example', 'x-forwarded-proto': 'https', host: 'app.example' }, 200, 403],
    ['the host alone', { origin: 'http://app.example', 'x-forwarded-host': 'app.example' }, 200, 403],
    ['the first of the client’s list does not count', { origin: 'https://evil.example', 'x-forwarded-proto': 'https', 'x-forwarded-host': 'evil.example, app.example' }, 403, 403],
    ['a scheme that is none', { origin: 'https://app.example', 'x-forwarded-proto': 'gopher', host: 'app.example' }, 403, 403],
    ['nothing said: the connection’s own', { origin: 'http://app.example', host: 'app.example' }, 200, 200],
  ])
    it(name, async () => {
      assert.equal((await ask(behind, headers)).status, trusted);
      assert.equal((await ask(open, headers)).status, untrusted);
    });

  it('on the WebSocket handshake and on REST', async () => {
    const headers = { Origin: 'https://app.example', 'X-Forwarded-Proto': 'https', 'X-Forwarded-Host': 'app.example' };
    const w = await new RawWs(behind.port, { headers }).open();
    w.destroy();
    const refused = new RawWs(open.port, { headers });
    await refused.ready;
    assert.equal(refused.status, 403);
    assert.equal((await request(behind.port, 'GET', '/ws/status', { headers })).status, 200);
    assert.equal((await request(open.port, 'GET', '/ws/status', { headers })).status, 403);
  });
});

describe('a proxy that ends TLS, as browsers see it', () => {
  let proxy, url, cert;

  before(async () => {
    cert = await makeCert(dir, 'proxy');
    const forward = (req) => ({
      host: '127.0.0.1', port: behind.port, method: req.method, path: req.url,
      headers: { ...req.headers, host: 'inside', 'x-forwarded-host': req.headers.host, 'x-forwarded-proto': 'https', 'x-forwarded-for': [req.headers['x-forwarded-for'], '192.0.2.77'].filter(Boolean).join(', ') },
    });
    proxy = https.createServer({ cert: cert.pem, key: readFileSync(cert.key) }, (req, res) => {
      const out = http.request(forward(req), (got) => (res.writeHead(got.statusCode, got.headers), got.pipe(res)));
      out.on('error', () => res.destroy());
      req.pipe(out);
    });
    proxy.on('upgrade', (req, socket, head) => {
      const { headers, method, path } = forward(req);
      const tcp = net.connect(behind.port, '127.0.0.1');
      tcp.write(`${method} ${path} HTTP/1.1\r\n${Object.entries(headers).map(([k, v]) => `${k}: ${v}\r\n`).join('')}\r\n`);
      tcp.write(head);
      for (const s of [tcp, socket]) s.on('error', () => {});
      tcp.pipe(socket).pipe(tcp);
      tcp.on('close', () => socket.destroy());
      socket.on('close', () => tcp.destroy());
    });
    await new Promise((resolve) => proxy.listen(0, '127.0.0.1', resolve));
    url = `https://127.0.0.1:${proxy.address().port}`;
  });
  after(() => (proxy?.close(), proxy?.closeAllConnections()));

  for (const [how, options] of TRANSPORTS)
    it(`the stock client with the page’s origin, ${how}`, async () => {
      const origin = url;
      const c = pool.open(url, { auth: { token: behind.token('anna') }, ca: cert.pem, extraHeaders: { origin }, ...options });
      await c.connected();
      if (how === 'upgrade') await c.upgraded();
      c.emit('join_project', { project_id: 'proj-123' });
      await c.event('joined_project');
      assert.equal((await c.ask('presence:list', { project_id: 'proj-123' })).ok, true);
    });

  it('a foreign page is refused', async () => {
    const c = pool.open(url, { auth: { token: behind.token('anna') }, ca: cert.pem, extraHeaders: { origin: 'https://evil.example' }, transports: ['polling'] });
    await assert.rejects(c.connected(), /did not connect/);
  });

  it('the address is the one that the proxy saw', async () => {
    behind.log.clear();
    const c = new Client(url, { ca: cert.pem, extraHeaders: { 'x-forwarded-for': '6.6.6.6' }, transports: ['websocket'] });
    await assert.rejects(c.connected(), /Authentication required/);
    c.close();
    await behind.waitLog(/Client refused: token_missing.*from 192\.0\.2\.77$/);
  });
});
