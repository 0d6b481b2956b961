// docs/guide/embedding.md is carried out: in an empty folder, against an installed
// library, block by block in the order of the page.
//
//   c FILE, js FILE, ini FILE, cmake FILE   appended to FILE
//   sh            run to its end, exit code 0; a "text" block behind it is its output
//   sh serve      run until it listens; ended with SIGTERM, exit code 0, when the next one
//                 starts and at the end
//   sh install    what install() of the harness has done already, in another place
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { appendFileSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { freePort, install, ROOT, run, startProgram } from './lib/harness.mjs';

const GUIDE = 'docs/guide/embedding.md';
const page = readFileSync(path.join(ROOT, GUIDE), 'utf8');

function* blocks(text) {
  let line = 1;
  for (const part of text.split(/^```/m)) {
    const open = line;
    line += part.split('\n').length - 1;
    const head = part.slice(0, part.indexOf('\n')).trim();
    if (head) if (/^[a-z]+( \S+)?$/.test(head)) yield { kind: head.split(' ')[0], name: head.split(' ')[1], body: part.slice(part.indexOf('\n') + 1), line: open };
  }
}

let at, work, server, port;
const env = () => ({ ...at.env, NODE_NO_WARNINGS: '1', PORT: port });

async function endServer() {
  const ending = server;
  server = undefined;
  if (ending) await ending.end('SIGTERM');
}

before(async () => {
  at = await install();
  port = await freePort();
  work = mkdtempSync(path.join(tmpdir(), 'sio-guide-'));
  symlinkSync(path.join(ROOT, 'tests/server/node_modules'), path.join(work, 'node_modules')); // npm install socket.io-client
});
after(async () => {
  await endServer();
  at?.remove();
  if (work) rmSync(work, { recursive: true, force: true });
});

describe(GUIDE, () => {
  let output;
  for (const block of blocks(page)) {
    // The page's port may be in use here.
    const body = block.body.replaceAll('127.0.0.1:3000', () => `127.0.0.1:${port}`);
    if (block.kind === 'text') {
      it(`line ${block.line}: the output`, () => assert.equal(output, block.body));
    } else if (block.kind !== 'sh') {
      it(`line ${block.line}: ${block.name}`, () => {
        assert.ok(block.name, 'a block of code names its file');
        appendFileSync(path.join(work, block.name), block.body.replaceAll('127.0.0.1:3000', `127.0.0.1:${port}`).replace('"127.0.0.1", 3000)', `"127.0.0.1", ${port})`));
      });
    } else if (block.name === 'serve') {
      it(`line ${block.line}: ${block.body.trim()}`, async () => {
        await endServer();
        server = await startProgram(path.join(work, body.trim()), [], { env: env(), cwd: work });
      });
    } else if (block.name !== 'install') {
      it(`line ${block.line}: ${block.body.trim().split('\n')[0]}`, async () => {
        const got = await run('sh', ['-ec', body], { cwd: work, env: env(), timeout: 120000 });
        assert.equal(got.code, 0, got.stdout + got.stderr);
        assert.equal(got.stderr, '');
        output = got.stdout;
      });
    }
  }

  it('the server ends well', endServer);

  it('the unit file names what systemd knows', () => {
    const unit = readFileSync(path.join(work, 'chat.service'), 'utf8');
    const sections = { Unit: /^(Description|After)$/, Service: /^(ExecStart|Environment|DynamicUser|Restart|LimitNOFILE|KillSignal|TimeoutStopSec)$/, Install: /^WantedBy$/ };
    let section;
    for (const line of unit.split('\n').filter(Boolean)) {
      const heading = line.match(/^\[(\w+)\]$/);
      if (heading) section = heading[1];
      else assert.match(line.split('=')[0], sections[section], line);
    }
  });

  it('the tables and the text name calls that are there', async () => {
    const known = new Set((await run(path.join(ROOT, 'scripts/make-man'), ['--list'])).stdout.split('\n'));
    const headers = /^sio_(socket|room|server|http|json|work|testing|slice|target|connect|request)$/;
    for (const [, name] of page.matchAll(/`(sio_\w+)/g)) assert.ok(known.has(name) || headers.test(name), name);
  });
});
