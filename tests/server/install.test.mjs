// What make install puts somewhere is used by programs that know nothing of this
// repository: built with pkg-config (shared, static) and CMake, as C17 and as C++17, run,
// and spoken to by the stock client.  Manual pages and exported names are looked at, too.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { clientPool } from './lib/clients.mjs';
import { install, ROOT, run, SKYBUILD, startProgram } from './lib/harness.mjs';

const pool = clientPool();
const STRICT = ['-Wall', '-Wextra', '-Wpedantic', '-Werror', '-O1'];
let at, work;

const sh = async (command, options = {}) => {
  const got = await run('sh', ['-ec', command], { cwd: work, timeout: 180000, ...options, env: { ...at.env, ...options.env } });
  assert.equal(got.code, 0, `${command}\n${got.stdout}${got.stderr}`);
  return got.stdout.trim();
};

before(async () => {
  at = await install();
  work = mkdtempSync(path.join(tmpdir(), 'sio-user-'));
  for (const file of ['program.c', 'CMakeLists.txt']) copyFileSync(path.join(ROOT, 'tests/install', file), path.join(work, file));
});
after(() => {
  pool.close?.();
  at?.remove();
  if (work) rmSync(work, { recursive: true, force: true });
});

// The program runs, a stock client is answered over both transports, it ends with 0.
async function serves(file, env = {}) {
  const program = await startProgram(path.join(work, file), [], { env });
  try {
    for (const transport of ['websocket', 'polling']) {
      const client = await pool.open(program.url, { transports: [transport] }).connected();
      assert.deepEqual(await client.ask('echo', { a: [1, 'two'] }), { a: [1, 'two'] });
      client.close();
    }
  } finally {
    await program.end();
  }
}

describe('an installed library', () => {
  it('is all there', () => {
    for (const file of ['bin/skybuild', 'include/sio/server.h', 'include/sio/testing.h', `${at.lib}/libsio.a`, `${at.lib}/libsio.so`,
      `${at.lib}/pkgconfig/sio.pc`, `${at.lib}/cmake/sio/sio-config.cmake`, 'share/man/man1/skybuild.1', 'share/man/man3/sio_server.3',
      'share/skybuild/web/page/index.html', 'share/skybuild/web/docs/index.html', 'share/skybuild/web/node_modules/swagger-ui-dist/swagger-ui-bundle.js'])
      assert.ok(existsSync(path.join(at.prefix, file)), `${file} is not installed`);
    const so = path.join(at.prefix, at.lib, 'libsio.so');
    assert.equal(realpathSync(so), realpathSync(path.join(at.prefix, at.lib, 'libsio.so.0')));
  });

  it('the program starts from there', async () => {
    const got = await run(path.join(at.prefix, 'bin/skybuild'), ['--help']);
    assert.equal(got.code, 0);
    assert.match(got.stdout, /usage: skybuild/);
  });

  it('pkg-config, shared, C17', async () => {
    await sh(`cc -std=c17 ${STRICT.join(' ')} program.c -o shared $(pkg-config --cflags --libs sio)`);
    assert.match(await sh('readelf -d shared'), /NEEDED.*libsio\.so\.0/);
    assert.doesNotMatch(await sh('readelf -d shared'), /NEEDED.*(libuv|libcrypto)/); // the library's own business
    await serves('shared', at.env);
  });

  it('pkg-config, shared, C++17', async () => {
    await sh(`c++ -x c++ -std=c++17 ${STRICT.join(' ')} program.c -o shared++ $(pkg-config --cflags --libs sio)`);
    await serves('shared++', at.env);
  });

  it('pkg-config --static, nothing dynamic at all', async () => {
    await sh(`cc -std=c17 ${STRICT.join(' ')} -static program.c -o static $(pkg-config --static --cflags --libs sio)`);
    assert.doesNotMatch(await sh('readelf -d static'), /NEEDED/);
    await serves('static');
  });

  it('pkg-config --static, only libsio static, C++17', async () => {
    await sh(`c++ -x c++ -std=c++17 ${STRICT.join(' ')} program.c -o mixed $(pkg-config --cflags sio) \
      $(pkg-config --static --libs sio | sed 's/-lsio/-l:libsio.a/')`);
    assert.doesNotMatch(await sh('readelf -d mixed'), /NEEDED.*libsio/);
    await serves('mixed');
  });

  it('CMake, both targets', async () => {
    await sh(`cmake -S . -B build -DCMAKE_BUILD_TYPE=Release && cmake --build build`);
    assert.match(await sh('readelf -d build/program_shared'), /NEEDED.*libsio\.so\.0/);
    assert.doesNotMatch(await sh('readelf -d build/program_static'), /NEEDED.*libsio/);
    await serves('build/program_shared');
    await serves('build/program_static');
  });

  it('CMake refuses a version that is not there', async () => {
    const other = path.join(work, 'other');
    mkdirSync(other);
    writeFileSync(path.join(other, 'CMakeLists.txt'), 'cmake_minimum_required(VERSION 3.16)\nproject(o LANGUAGES C)\nfind_package(sio 9 REQUIRED)\n');
    const got = await run('cmake', ['-S', other, '-B', path.join(other, 'build')], { timeout: 60000, env: at.env });
    assert.notEqual(got.code, 0);
    assert.match(got.stderr, /requested\s+version "9"/);
  });
});

describe('names', () => {
  const listed = async (command) => (await sh(command)).split('\n').map((l) => l.trim().split(/\s+/).pop()).filter(Boolean).sort();
  let declared;
  before(async () => (declared = await listed(`'${ROOT}/scripts/make-man' --list`)));

  it('the shared library gives away the calls of the headers and nothing else, with a version', async () => {
    const so = path.join(at.prefix, at.lib, 'libsio.so.0');
    const given = await listed(`nm -D --defined-only '${so}' | grep -v ' A '`);
    assert.ok(declared.length > 80);
    assert.deepEqual(given, declared.map((name) => `${name}@@SIO_0.1`));
  });

  it('so does the static one', async () => {
    assert.deepEqual(await listed(`nm -g --defined-only '${at.prefix}/${at.lib}/libsio.a' | grep ' [A-Z] '`), declared);
  });
});

describe('manual pages', () => {
  const page = (section, name) => path.join(at.prefix, `share/man/man${section}`, `${name}.${section}`);

  it('one for each header, a link for each call', async () => {
    for (const file of readdirSync(path.join(at.prefix, 'include/sio'))) {
      const text = readFileSync(page(3, `sio_${file.replace(/\.h$/, '')}`), 'utf8');
      assert.match(text, /^\.SH DESCRIPTION$/m, file);
      assert.match(text, new RegExp(`#include <sio/${file.replace('.', '\\.')}>`));
    }
    for (const name of (await sh(`'${ROOT}/scripts/make-man' --list`)).split('\n')) {
      const text = readFileSync(page(3, name), 'utf8');
      const target = text.match(/^\.so (man3\/sio_\w+\.3)\n$/);
      assert.ok(target || text.startsWith('.TH'), name);
      if (target) assert.match(readFileSync(path.join(at.prefix, 'share/man', target[1]), 'utf8'), new RegExp(`\\b${name}\\(`));
    }
  });

  it('one for the program and one for each command', async () => {
    const help = (await run(SKYBUILD, ['--help'])).stdout;
    const commands = [...help.matchAll(/^ {2}(\S+(?: \S+)?) {2,}/gm)].map((m) => m[1]);
    assert.ok(commands.length >= 10);
    assert.match(readFileSync(page(1, 'skybuild'), 'utf8'), /^\.SH COMMANDS$/m);
    for (const name of commands) assert.ok(existsSync(page(1, `skybuild-${name.replace(' ', '-')}`)), name);
    assert.match(readFileSync(page(1, 'skybuild-serve'), 'utf8'), /^\.SH ENVIRONMENT$/m);
  });

  it('errors are listed with their text', () => {
    const text = readFileSync(page(3, 'sio_room'), 'utf8');
    assert.match(text, /SIO_ERR_LIMIT\\fR \(\\-3\)\na configured limit was reached/);
  });

  it('groff and man have nothing to say against them', async () => {
    for (const section of [1, 3])
      for (const file of readdirSync(path.join(at.prefix, `share/man/man${section}`))) {
        const full = path.join(at.prefix, `share/man/man${section}`, file);
        if (readFileSync(full, 'utf8').startsWith('.so ')) continue;
        const groff = await run('groff', ['-man', '-ww', '-z', '-Tutf8', full]);
        assert.equal(groff.stderr, '', file);
        const man = await run('man', ['--warnings=w', '-E', 'UTF-8', '-l', '-Tutf8', '-Z', full], { env: { LC_ALL: 'C.UTF-8', MANROFFSEQ: '' } });
        assert.equal(man.stderr, '', file);
        assert.equal(man.code, 0);
      }
  });
});
