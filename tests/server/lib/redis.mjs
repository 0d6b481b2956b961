// A real redis-server for a test: on a free port of loopback, in a folder of its own.  It can
// be killed and started again where it was.
import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { freePort, run } from './harness.mjs';
import { until } from './queue.mjs';

const running = new Set();
process.on('exit', () => running.forEach((r) => r.child?.kill('SIGKILL')));

export class Redis {
  constructor(port, settings) {
    this.port = port;
    this.settings = settings;
    this.dir = mkdtempSync(path.join(tmpdir(), 'skybuild-redis-'));
    this.url = `redis://127.0.0.1:${port}/0`;
  }

  async start() {
    const args = ['--port', this.port, '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', '--dir', this.dir,
      '--enable-debug-command', 'yes', ...this.settings].map(String);
    this.child = spawn('redis-server', args, { cwd: this.dir, stdio: 'ignore' });
    running.add(this);
    this.exited = new Promise((resolve) => this.child.on('close', resolve));
    await until(async () => /PONG|NOAUTH/.test(await this.cli('PING')), 'redis-server answers', { timeout: 10000 });
    return this;
  }

  // What redis-cli prints.
  async cli(...args) {
    const got = await run('redis-cli', ['-p', String(this.port), ...args.map(String)]);
    return (got.stdout + got.stderr).trim();
  }

  // Cut the connection by which the process listens.
  async cutListener(pid) {
    const inodes = new Set();
    for (const fd of readdirSync(`/proc/${pid}/fd`)) {
      try {
        inodes.add(readlinkSync(`/proc/${pid}/fd/${fd}`).match(/^socket:\[(\d+)\]$/)?.[1]);
      } catch {} // closed meanwhile
    }
    const ports = readFileSync('/proc/net/tcp', 'utf8').split('\n').map((l) => l.trim().split(/\s+/))
      .filter((f) => inodes.has(f[9])).map((f) => parseInt(f[1]?.split(':')[1], 16));
    const listeners = (await this.cli('CLIENT', 'LIST', 'TYPE', 'pubsub')).match(/ addr=127\.0\.0\.1:\d+/g).map((a) => Number(a.split(':')[1]));
    const port = ports.find((p) => listeners.includes(p));
    if ((await this.cli('CLIENT', 'KILL', 'ADDR', `127.0.0.1:${port}`)) !== '1') throw new Error(`process ${pid} does not listen`);
  }

  async kill() {
    this.child.kill('SIGKILL');
    await this.exited;
    running.delete(this);
  }

  async stop() {
    await this.kill();
    rmSync(this.dir, { recursive: true, force: true });
  }
}

export const startRedis = async (...settings) => new Redis(await freePort(), settings).start();
