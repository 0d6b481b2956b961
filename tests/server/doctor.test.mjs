// skybuild doctor: what is in order passes, and each fault that a proxy can have is named with its mend.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync, rmSync } from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import { after, before, describe, it } from 'node:test';
import { makeCert } from './lib/cert.mjs';
import { cliIn, run, SKYBUILD, startServer, startProgram, tempDir } from './lib/harness.mjs';
import { startNginx } from './lib/nginx.mjs';
import { startProxy } from './lib/proxy.mjs';

const FEW = ['--wait', '0'];
const WAIT = ['--wait', '4'];
const ECHO = new URL('./lib/reference.mjs', import.meta.url).pathname;
const dir = tempDir();
let server, node;

before(async () => {
  // The ping is due after 2.5 s.
  server = await startServer({ env: { PING_INTERVAL: 2500, TRUSTED_PROXIES: '127.0.0.1', CORS_ALLOWED_ORIGINS: 'https://app.example,http://app.example' } });
  node = await startProgram(process.execPath, [ECHO], { env: { PORT: '0', PING_INTERVAL: 2500 } });
});
after(async () => {
  await server?.stop();
  await node?.end();
  rmSync(dir, { recursive: true, force: true });
});

const doctor = (args, opts) => cliIn(dir, {}, ['doctor', ...args], { fails: true, ...opts });
// {code, faults: {check: cause}, warnings: {check: cause}, check(name)}
async function examine(args, opts) {
  const got = await doctor([...args, '--json'], opts);
  const json = JSON.parse(got.stdout);
  const of = (result) => Object.fromEntries(json.checks.filter((c) => c.result === result).map((c) => [c.check, c.cause]));
  assert.equal(got.code, json.faults ? 1 : 0, got.stdout);
  assert.deepEqual([json.faults, json.warnings], ['fault', 'warning'].map((r) => json.checks.filter((c) => c.result === r).length));
  for (const c of json.checks) assert.equal(Boolean(c.mend), c.result === 'fault' || c.result === 'warning', JSON.stringify(c));
  return { ...got, json, faults: of('fault'), warnings: of('warning'), check: (name) => json.checks.find((c) => c.check === name) };
}

const ALL = ['handshake', 'clock', 'ready', 'cache', 'connect', 'polling', 'body', 'websocket', 'body-websocket', 'upgrade', 'origin', 'origin-websocket', 'idle-polling', 'idle-websocket'];

describe('what is in order', { concurrency: 3 }, () => {
  it('a server of ours, with a token and an origin', async () => {
    const got = await examine([server.url, '--token', server.token('anna'), '--origin', 'http://app.example']);
    assert.deepEqual(got.json.checks.map((c) => [c.check, c.result]), ALL.map((c) => [c, 'ok']), got.stdout);
    assert.match(got.check('connect').seen, /accepted, with the token/);
    assert.match(got.check('origin').seen, /Access-Control-Allow-Origin: http:\/\/app\.example/);
    for (const idle of ['idle-polling', 'idle-websocket']) assert.match(got.check(idle).seen, /the ping came after 2[5-9]\d\d ms/);
  });

  it('in words: a line each, and the sum', async () => {
    const got = await doctor([server.url, ...FEW]);
    assert.equal(got.code, 0, got.stdout);
    const lines = got.stdout.trim().split('\n');
    assert.equal(lines[0], `looking at ${server.url}/socket.io/`);
    for (const line of lines.slice(1, -1)) assert.match(line, /^ok {7}\S+ +\S/);
    assert.equal(lines.at(-1), '0 faults, 0 warnings');
    assert.match(got.stdout, /refused without a token: .*token_missing.*--token tries one/);
    assert.equal(got.stderr, '');
  });

  it('the token on the standard input', async () => {
    const got = await examine([server.url, ...FEW, '--token', '-'], { input: `${server.token('anna')}\n` });
    assert.match(got.check('connect').seen, /accepted, with the token/);
  });

  it('Node’s server', async () => {
    const got = await examine([node.url, '--path', 'socket.io']);
    assert.deepEqual(got.json.checks.filter((c) => c.result !== 'ok').map((c) => c.check), ['ready'], got.stdout);
    assert.equal(got.check('ready').result, 'skipped');
  });

  it('through deploy/nginx.conf, without and with TLS', async () => {
    const cert = await makeCert(dir, 'nginx');
    const nginx = await startNginx([server.port, server.port, server.port], { cert });
    try {
      const plain = await examine([nginx.tlsUrl, '--ca', cert.cert, '--token', server.token('anna'), '--origin', 'https://app.example']);
      assert.deepEqual(plain.faults, {}, plain.stdout);
      assert.deepEqual(plain.warnings, { certificate: 'certificate_soon' }, 'it is valid for two days');
      assert.match(plain.check('handshake').seen, /over HTTP\/2/);
      assert.equal(plain.json.checks.length, ALL.length + 1);
      const redirected = await examine([nginx.url, ...FEW]);
      assert.equal(redirected.faults.handshake, 'redirect', redirected.stdout);
      assert.match(redirected.check('handshake').seen, /^301: https:\/\//);
    } finally {
      await nginx.stop();
    }
  });

  it('a whole proxy', async () => {
    const proxy = await startProxy(server.port);
    const got = await examine([proxy.url, ...WAIT]);
    assert.deepEqual([got.faults, got.warnings], [{}, {}], got.stdout);
    await proxy.stop();
  });
});

const isPoll = (req) => req.method === 'GET' && /transport=polling.*sid=/.test(req.url);
const answer = (status, body, headers = {}) => ({
  request: (req, res) => (req.resume(), res.writeHead(status, headers).end(body)),
  upgrade: (req, socket) => socket.end(`HTTP/1.1 ${status} X\r\n${Object.entries(headers).map(([k, v]) => `${k}: ${v}\r\n`).join('')}Content-Length: ${body.length}\r\n\r\n${body}`),
});
const accept = (req) => createHash('sha1').update(`${req.headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
const switching = (req, value = accept(req)) => `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${value}\r\n\r\n`;

// name, what is broken, arguments, {check: cause} of faults (others may be there when they follow: listed), what a mend says
const FAULTS = [
  ['drops the Upgrade header', { upgrade: false }, FEW, { websocket: 'upgrade_dropped' }, /proxy_set_header Upgrade \$http_upgrade/],
  ['answers 502', answer(502, '<html>Bad Gateway</html>'), FEW, { handshake: 'gateway', websocket: 'gateway' }, /proxy_pass/],
  ['answers 503', answer(503, 'no'), FEW, { handshake: 'unavailable', websocket: 'unavailable' }, /MAX_CONNECTIONS/],
  ['answers 504', answer(504, ''), FEW, { handshake: 'gateway_late', websocket: 'gateway_late' }, /proxy_read_timeout/],
  ['asks for a login', answer(401, 'who?'), FEW, { handshake: 'login_wanted', websocket: 'login_wanted' }, /login/],
  ['refuses', answer(403, '<html>WAF</html>'), FEW, { handshake: 'forbidden', websocket: 'forbidden' }, /firewall/],
  ['limits requests', answer(429, ''), FEW, { handshake: 'too_many', websocket: 'too_many' }, /limit_req/],
  ['answers HTML', answer(200, '<!doctype html>\u001b[31m<p>hello', { 'Content-Type': 'text/html' }), FEW, { handshake: 'html', websocket: 'html' }, /location \/socket\.io\//],
  ['answers something', answer(200, '{"hello":1}'), FEW, { handshake: 'not_engineio', websocket: 'upgrade_dropped' }, /no answer of a Socket\.IO server/],
  ['redirects', answer(301, '', { Location: 'https://elsewhere.example/' }), FEW, { handshake: 'redirect', websocket: 'redirect' }, /POST and WebSocket do not follow/],
  ['speaks for a server of Socket.IO 2', answer(200, '96:0{"sid":"x","upgrades":["websocket"],"pingInterval":25000,"pingTimeout":5000}2:40'), FEW, { handshake: 'eio_old', websocket: 'upgrade_dropped' }, /Socket\.IO 2/],
  ['refuses the version', answer(400, '{"code":5,"message":"Unsupported protocol version"}'), FEW, { handshake: 'eio_old', websocket: 'eio_old' }, /EIO=4/],
  ['has no polling', answer(400, '{"code":0,"message":"Transport unknown"}'), FEW, { handshake: 'transport_off', websocket: 'transport_off' }, /transports/],
  ['rewrites the path', {
    request: (req, res, forward) => forward({ url: req.url.replace('/socket.io/', '/app/') }),
    upgrade: (req, socket, forward) => ((req.url = req.url.replace('/socket.io/', '/app/')), forward()),
  }, FEW, { handshake: 'not_found', websocket: 'not_found' }, /without a path behind the port/],
  ['closes without an answer', { request: (req) => req.socket.destroy(), upgrade: (req, socket) => socket.destroy() }, FEW, { handshake: 'cut', websocket: 'cut' }, /log of the proxy/],
  ['holds polls back', { request: (req, res, forward) => (isPoll(req) ? setTimeout(forward, 1800) : forward()) }, FEW, { polling: 'held_back' }, /proxy_buffering off/],
  ['keeps a poll for itself', { request: (req, res, forward) => (isPoll(req) ? req.resume() : forward()) }, FEW, { polling: 'held_back' }, /proxy_buffering off/],
  ['cuts what is idle for 1 s', {
    request(req, res, forward) {
      forward();
      if (isPoll(req)) setTimeout(() => res.headersSent || res.writeHead(504).end('<html>504</html>'), 1000);
    },
    upgrade(req, socket, forward) {
      forward();
      socket.setTimeout(1000, () => socket.destroy());
    },
  }, WAIT, { 'idle-polling': 'idle_cut', 'idle-websocket': 'idle_cut' }, /proxy_read_timeout 90s/],
  ['cuts idle polls without a word', {
    request(req, res, forward) {
      forward();
      if (isPoll(req)) setTimeout(() => res.headersSent || req.socket.destroy(), 1000);
    },
  }, WAIT, { 'idle-polling': 'idle_cut' }, /PING_INTERVAL/],
  ['caches', (() => {
    let kept;
    return {
      request(req, res, forward) {
        if (!/transport=polling/.test(req.url) || /sid=/.test(req.url)) return forward();
        if (kept) return void res.writeHead(200, { 'Content-Type': 'text/plain', 'Cache-Control': 'no-store' }).end(kept);
        http.get({ port: server.port, path: req.url, agent: false }, (got) => got.on('data', (d) => (kept = d)).on('end', () => res.writeHead(200).end(kept)));
      },
    };
  })(), FEW, { cache: 'cached' }, /Cache-Control: no-store/],
  ['refuses the origin', {
    request: (req, res, forward) => (req.headers.origin ? res.writeHead(403).end('no') : forward()),
    upgrade: (req, socket, forward) => (req.headers.origin ? socket.end('HTTP/1.1 403 Forbidden\r\n\r\n') : forward()),
  }, [...FEW, '--origin', 'http://app.example'], { origin: 'origin_refused', 'origin-websocket': 'origin_refused' }, /CORS_ALLOWED_ORIGINS/],
  ['hides by which name it was called', {
    request: (req, res, forward) => forward({ headers: { host: 'inside:1' } }),
    upgrade: (req, socket, forward) => forward({ headers: { host: 'inside:1' } }),
  }, FEW, { origin: 'origin_own', 'origin-websocket': 'origin_own' }, /X-Forwarded-Proto and X-Forwarded-Host/],
  ['takes the CORS header away', { request: (req, res, forward) => forward({ answer: (h) => (delete h['access-control-allow-origin'], h) }) }, [...FEW, '--origin', 'http://app.example'], { origin: 'cors_missing' }, /hides this answer/],
  ['limits bodies', {
    request: (req, res, forward) => (Number(req.headers['content-length']) > 65536 ? (req.resume(), res.writeHead(413).end('<html>413')) : forward()),
  }, FEW, { body: 'body_limit' }, /client_max_body_size/],
  ['cuts large bodies', { request: (req, res, forward) => (Number(req.headers['content-length']) > 65536 ? req.socket.destroy() : forward()) }, FEW, { body: 'body_limit' }, /client_max_body_size/],
  ['limits WebSocket messages', {
    upgrade(req, socket, forward) {
      let n = 0;
      forward({ onData: (d, s, tcp) => ((n += d.length) > 65536 ? (s.destroy(), tcp.destroy(), null) : d) });
    },
  }, FEW, { 'body-websocket': 'frame_limit' }, /limit above MAX_PAYLOAD/],
  ['swallows what is sent over a WebSocket', { upgrade: (req, socket, forward) => forward({ onData: () => null }) }, FEW, { websocket: 'swallowed' }, /use TLS/],
  ['answers upgrades by itself, and swallows', { upgrade: (req, socket) => socket.write(switching(req)) }, FEW, { websocket: 'swallowed' }, /use TLS/],
  ['answers upgrades by itself, wrongly', { upgrade: (req, socket) => socket.write(switching(req, 'AAAAAAAAAAAAAAAAAAAAAAAAAAA=')) }, FEW, { websocket: 'accept_wrong' }, /intercepts/],
  ['sends what is no frame', { upgrade: (req, socket) => socket.write(`${switching(req)}HTTP/1.1 400 no\r\n\r\n`) }, FEW, { websocket: 'swallowed' }, /WebSockets as they are/],
  ['sends a frame without an end', { upgrade: (req, socket) => socket.write(Buffer.concat([Buffer.from(switching(req)), Buffer.from([0x81, 127, 0x7f, 255, 255, 255, 255, 255, 255, 255])])) }, FEW, { websocket: 'swallowed' }, /WebSockets as they are/],
  ['is not ready', {
    request: (req, res, forward) => (req.url === '/readyz' ? res.writeHead(503).end('{"status":"draining","store":"ok","redis":"off","draining":true}') : forward()),
  }, FEW, { ready: 'not_ready' }, /the part that it names/],
];

describe('a proxy that', { concurrency: 4 }, () => {
  for (const [name, broken, args, faults, mend] of FAULTS)
    it(name, { timeout: 120000 }, async () => {
      const proxy = await startProxy(server.port, broken);
      try {
        const got = await examine([proxy.url, ...args]);
        assert.deepEqual(got.faults, faults, got.stdout);
        assert.match(got.check(Object.keys(faults)[0]).mend, mend);
        assert.ok(!/[^\x20-\x7e\n]/.test(got.stdout), 'nothing but plain text');
      } finally {
        await proxy.stop();
      }
    });

  it('sends each request to another server', async () => {
    const other = await startServer({ fill: 'none' });
    let turn = 0;
    const proxy = await startProxy(() => [server.port, other.port][turn++ % 2]);
    try {
      const got = await examine([proxy.url, ...FEW]);
      assert.equal(got.faults.polling, 'sid_unknown', got.stdout);
      assert.match(got.check('polling').mend, /ip_hash.*REDIS_ENABLED=true/);
    } finally {
      await proxy.stop();
      await other.stop();
    }
  });

  it('does so unless it knows the client by a cookie: in order', async () => {
    const other = await startServer({ fill: 'none' });
    const ports = [server.port, other.port];
    let turn = 0, at;
    const pick = (req) => (at = Number(/lb=(\d)/.exec(req.headers.cookie ?? '')?.[1] ?? turn++ % 2));
    const proxy = await startProxy(() => ports[at], {
      request: (req, res, forward) => (pick(req), forward({ answer: (h) => ({ ...h, 'set-cookie': [`lb=${at}; Path=/; HttpOnly`, 'x=y'] }) })),
      upgrade: (req, socket, forward) => (pick(req), forward()),
    });
    try {
      const got = await examine([proxy.url, ...FEW]);
      assert.deepEqual(got.faults, {}, got.stdout);
      assert.match(got.check('polling').seen, /cookie/);
    } finally {
      await proxy.stop();
      await other.stop();
    }
  });

  for (const [name, change, args, warnings] of [
    ['loses no-store', (h) => (delete h['cache-control'], h), FEW, { cache: 'cacheable' }],
    ['is a cache', (h) => ({ ...h, age: '3' }), FEW, { cache: 'cacheable' }],
    ['has another time', (h) => ({ ...h, date: new Date(Date.now() - 3600e3).toUTCString() }), FEW, { clock: 'clock' }],
  ])
    it(`${name}: a warning, and 0`, async () => {
      const proxy = await startProxy(server.port, { request: (req, res, forward) => forward({ answer: change }) });
      const got = await examine([proxy.url, ...args]);
      await proxy.stop();
      assert.equal(got.code, 0);
      assert.deepEqual([got.faults, got.warnings], [{}, warnings], got.stdout);
    });
});

describe('clients and addresses', { concurrency: 3 }, () => {
  for (const [cause, token] of [
    ['token_invalid', () => server.token('anna', { secret: 'not the secret of the server, at all' })],
    ['token_expired', () => server.token('anna', { ttl: -3600 })],
    ['token_invalid', () => 'nonsense'],
  ])
    it(`${cause}, and the token is not shown`, async () => {
      const got = await examine([server.url, ...FEW, '--token', token()]);
      assert.deepEqual(got.faults, { connect: cause }, got.stdout);
      assert.ok(!got.stdout.includes(token().slice(-20)));
    });

  it('a foreign page: refused by ours, hidden by the browser from Node’s, mixed from https', async () => {
    const ours = await examine([server.url, ...FEW, '--origin', 'http://evil.example']);
    assert.deepEqual(ours.faults, { origin: 'origin_refused', 'origin-websocket': 'origin_refused' });
    const theirs = await examine([node.url, ...FEW, '--origin', 'http://evil.example']);
    assert.deepEqual(theirs.faults, { origin: 'cors_missing' });
    const mixed = await doctor([server.url, ...FEW, '--origin', 'https://app.example']);
    assert.equal(mixed.code, 1);
    assert.match(mixed.stdout, /^fault {4}origin +a page of https:\/\/app\.example, and http:.*\n +mixed: A browser lets no page/m);
  });

  it('a certificate: unknown, of another name; the rest is looked at all the same', async () => {
    const cert = await makeCert(dir, 'own');
    const own = await startServer({ fill: 'none', env: { TLS_CERT: cert.cert, TLS_KEY: cert.key, HOST: '0.0.0.0' } });
    try {
      const unknown = await examine([`https://127.0.0.1:${own.port}`, ...FEW]);
      assert.deepEqual(unknown.faults, { certificate: 'certificate_unknown' }, unknown.stdout);
      assert.match(unknown.check('certificate').mend, /fullchain\.pem/);
      const name = await examine([`https://127.0.0.2:${own.port}`, ...FEW, '--ca', cert.cert]);
      assert.deepEqual(name.faults, { certificate: 'certificate_name' }, name.stdout);
      assert.equal(name.check('upgrade').result, 'ok');
      assert.equal((await examine([`https://127.0.0.1:${own.port}`, ...FEW, '--insecure'])).code, 0);
      const plain = await examine([`http://127.0.0.1:${own.port}`, ...FEW]);
      assert.equal(plain.faults.handshake, 'not_http', plain.stdout);
      assert.match(plain.check('handshake').mend, /https:\/\//);
      const other = await examine([server.url.replace('http:', 'https:'), ...FEW]);
      assert.deepEqual(other.faults, { handshake: 'tls_failed' }, other.stdout);
    } finally {
      await own.stop();
    }
  });

  it('nobody there, no such name, something else than HTTP', async () => {
    assert.deepEqual((await examine(['http://127.0.0.1:1', ...FEW])).faults, { handshake: 'unreachable' });
    assert.deepEqual((await examine(['http://no-such-host.invalid', ...FEW])).faults, { handshake: 'name_unknown' });
    const ssh = net.createServer((s) => (s.on('error', () => {}), s.end('SSH-2.0-OpenSSH_9.2\r\n'))).listen(0, '127.0.0.1');
    await new Promise((resolve) => ssh.on('listening', resolve));
    const got = await examine([`http://127.0.0.1:${ssh.address().port}`, ...FEW]);
    ssh.close();
    assert.equal(got.faults.handshake, 'not_http', got.stdout);
  });

  it('a server that dies under its hands: an end, and no hang', async () => {
    const proxy = await startProxy(server.port);
    const going = run(SKYBUILD, ['doctor', proxy.url, '--wait', '3']);
    setTimeout(() => proxy.stop(), 1500);
    const got = await going;
    assert.equal(got.code, 1, got.stdout);
    assert.match(got.stdout, /idle_cut/);
  });
});

it('every cause stands in the manual of operations', () => {
  const source = readFileSync(new URL('../../server/app/doctor.h', import.meta.url), 'utf8');
  const manual = readFileSync(new URL('../../docs/operations.md', import.meta.url), 'utf8');
  const causes = [...source.matchAll(/^\tX\(\w+, "(\w+)", /gm)].map((m) => m[1]);
  assert.ok(causes.length > 30);
  for (const cause of causes) assert.ok(manual.includes(`\`${cause}\``), cause);
});
