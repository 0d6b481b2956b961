// Debian's nginx with deploy/nginx.conf itself: addresses and paths are put into it, nothing else
// is changed.  And a site: several servers behind it, used as if they were one.
import { spawn } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { freePort, ROOT, startServer } from './harness.mjs';
import { request } from './http.mjs';
import { sleep, until, within } from './queue.mjs';
import { startRedis } from './redis.mjs';
import { knowEachOther, startServers } from './servers.mjs';

export const CONF = path.join(ROOT, 'deploy/nginx.conf');
// Where it is not in the PATH of those who are not root.
const NGINX = existsSync('/usr/sbin/nginx') ? '/usr/sbin/nginx' : 'nginx';

// Each must stand in the file: one that does not fit any more is an error, and not a test of something else.
function put(text, what, by) {
  if (!what.test(text)) throw new Error(`deploy/nginx.conf: nothing is like ${what}`);
  return text.replace(what, by);
}

// Switch on what stands there switched off for TLS.
function withTls(text, { cert, key }, port) {
  text = text.replace(/^(\s*)#(?=\S)/gm, '$1');
  text = put(text, /listen 443\b/, `listen 127.0.0.1:${port}`);
  text = put(text, /(ssl_certificate +)\S+;/, `$1${cert};`);
  return put(text, /(ssl_certificate_key +)\S+;/, `$1${key};`);
}

export class Nginx {
  // ports: of the servers; cert: {cert, key}, paths, for TLS
  constructor(ports, { cert } = {}) {
    this.ports = ports;
    this.cert = cert;
    this.dir = mkdtempSync(path.join(tmpdir(), 'skybuild-nginx-'));
    chmodSync(this.dir, 0o755); // its workers are www-data
  }

  conf() {
    let text = readFileSync(CONF, 'utf8');
    const count = text.match(/^\s*server 127\.0\.0\.1:\d+ /gm).length;
    if (count !== this.ports.length) throw new Error(`deploy/nginx.conf has ${count} servers, not ${this.ports.length}`);
    let i = 0;
    text = text.replace(/^(\s*server 127\.0\.0\.1:)\d+ /gm, (_, head) => `${head}${this.ports[i++]} `);
    text = put(text, /listen 80;/, `listen 127.0.0.1:${this.port};`);
    text = put(text, /^pid .*;$/m, `pid ${this.dir}/pid;`);
    text = put(text, /^error_log \S+/m, `error_log ${this.dir}/error.log`);
    text = put(text, /^(\s*access_log) \S+/m, `$1 ${this.dir}/access.log`);
    // Debian's own stand in /var/lib, where only root may write.
    const temp = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((kind) => `${kind}_temp_path ${this.dir}/${kind};`);
    text = put(text, /^http \{$/m, `http { ${temp.join(' ')}`);
    return this.cert ? withTls(text, this.cert, this.tlsPort) : text;
  }

  async start() {
    this.port = await freePort();
    this.tlsPort = this.cert && (await freePort());
    this.url = `http://127.0.0.1:${this.port}`;
    this.tlsUrl = this.cert && `https://127.0.0.1:${this.tlsPort}`;
    const file = path.join(this.dir, 'nginx.conf');
    writeFileSync(file, this.conf());
    this.output = '';
    // It ends with this process, whatever ends that.
    this.child = spawn('setpriv', ['--pdeathsig', 'TERM', NGINX, '-p', this.dir, '-c', file, '-g', 'daemon off;'], { stdio: ['ignore', 'ignore', 'pipe'] });
    this.child.stderr.setEncoding('utf8').on('data', (d) => (this.output += d));
    this.child.stderr.unref();
    this.child.unref();
    this.exited = new Promise((resolve) => this.child.on('close', (code) => resolve((this.code = code ?? 'signal'))));
    await until(async () => {
      if (this.code !== undefined) throw new Error(`nginx ended with ${this.code}: ${this.output}`);
      return accepts(this.port);
    }, 'nginx accepts connections');
    return this;
  }

  log(name) {
    return readFileSync(path.join(this.dir, `${name}.log`), 'utf8');
  }

  async stop() {
    this.child.kill('SIGTERM');
    await within(this.exited, 10000, 'the end of nginx').catch((e) => {
      this.child.kill('SIGKILL');
      throw e;
    });
    rmSync(this.dir, { recursive: true, force: true });
  }
}

const accepts = (port) =>
  new Promise((resolve) => {
    const s = net.connect(port, '127.0.0.1', () => (s.destroy(), resolve(true))).on('error', () => resolve(false));
  });

export const startNginx = (ports, options) => new Nginx(ports, options).start();

// n servers behind nginx, on one database and one Redis, with what tests use of one server
// (harness.mjs, Server).  Calls go through nginx.
export class Site {
  async start(n, { env = {} } = {}) {
    this.redis = await startRedis();
    this.servers = await startServers(n, { REDIS_URL: this.redis.url, TRUSTED_PROXIES: '127.0.0.1', ...env });
    this.nginx = await startNginx(this.servers.map((s) => s.port));
    for (const key of ['url', 'port']) this[key] = this.nginx[key];
    const [one] = this.servers;
    for (const call of ['token', 'cli']) this[call] = one[call].bind(one);
    for (const call of ['api', 'broadcast', 'status', 'history']) this[call] = one[call].bind(this);
    this.env = one.env;
    return this;
  }

  // Lines of the logs of all, each server's in its order.
  get lines() {
    return this.servers.flatMap((s) => s.lines);
  }

  metrics(name) {
    return Promise.all(this.servers.map((s) => s.metric(name)));
  }

  // No server has a session any more.
  idle() {
    const counts = async () => (await Promise.all(['polling', 'websocket'].map((t) => this.metrics(`skybuild_sessions{transport="${t}"}`)))).flat();
    return until(async () => (await counts()).every((n) => n === 0), 'all sessions have ended');
  }

  // Server i is not there any more: start it again where it was.
  async startAgain(i) {
    const { dir, port } = this.servers[i];
    this.servers[i] = await startServer({ dir, fill: 'none', env: { ...this.servers.env, PORT: port } });
    await knowEachOther(this.servers, { timeout: 20000 });
  }

  async stop() {
    await this.nginx?.stop();
    try {
      await this.servers?.stop();
    } finally {
      await this.redis?.stop();
    }
  }
}

export async function startSite(n, options) {
  const site = new Site();
  return site.start(n, options).catch(async (e) => {
    console.error(e.message); // a failed before() is not told by every runner
    await site.stop().catch(() => {});
    throw e;
  });
}

// A request through nginx, as a careful back end makes it: again until it is answered, with one key.
export async function insist(site, method, target, { as, body, key, timeout = 30000 }) {
  const end = Date.now() + timeout;
  for (let tries = 1; ; tries++) {
    const headers = { authorization: `Bearer ${site.token(as)}`, 'idempotency-key': key };
    const res = await request(site.port, method, target, { headers, json: body, timeout: 5000 }).catch((e) => ({ status: 0, body: e.message }));
    if (res.status >= 200 && res.status < 300) return { ...res, tries };
    if (![0, 409, 502, 503, 504].includes(res.status) || Date.now() > end) throw new Error(`${method} ${target}: ${res.status} ${res.body}`);
    await sleep(50);
  }
}
