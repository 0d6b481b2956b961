// docs/guide/node-equivalents.md against what it speaks of: the declarations of the npm
// packages socket.io and engine.io, the public headers, and the tests.
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';

import { ROOT } from './lib/harness.mjs';

const read = (...parts) => readFileSync(path.join(ROOT, ...parts), 'utf8');
const modules = path.join(ROOT, 'tests/server/node_modules');
const page = read('docs/guide/node-equivalents.md');
const rows = page.split('\n').filter((line) => line.startsWith('| ') && !/^\| (---|Node)/.test(line))
  .map((line) => line.split('|').slice(1, -1).map((cell) => cell.trim()));

// [name on the page, declarations, class or interface there]
const DECLARED = [
  ['Server', 'socket.io/dist/index.d.ts', 'class Server'],
  ['ServerOptions', 'socket.io/dist/index.d.ts', 'interface ServerOptions'],
  ['Namespace', 'socket.io/dist/namespace.d.ts', 'class Namespace'],
  ['Socket', 'socket.io/dist/socket.d.ts', 'class Socket'],
  ['BroadcastOperator', 'socket.io/dist/broadcast-operator.d.ts', 'class BroadcastOperator'],
  ['RemoteSocket', 'socket.io/dist/broadcast-operator.d.ts', 'class RemoteSocket'],
  ['ServerOptions', 'engine.io/build/server.d.ts', 'interface ServerOptions'],
  ['AttachOptions', 'engine.io/build/server.d.ts', 'interface AttachOptions'],
  ['EngineServer', 'engine.io/build/server.d.ts', 'class BaseServer'],
  ['EngineServer', 'engine.io/build/server.d.ts', 'class Server'],
  ['EngineSocket', 'engine.io/build/socket.d.ts', 'class Socket'],
];

// The members that a declaration makes public: those of a first indentation that are not
// private, protected, marked so in their comment, or named with an underscore.
function members(text, what) {
  const begin = text.search(new RegExp(`^(export )?(declare )?(abstract )?(export )?(declare )?(abstract )?${what}\\b`, 'm'));
  assert.notEqual(begin, -1, `${what} is not declared`);
  const body = text.slice(begin, text.indexOf('\n}', begin)).split('\n').slice(1);
  const found = new Set();
  let comment = '';
  for (const line of body) {
    if (/^    (\/\*\*|   ?\*| \*)/.test(line)) {
      comment = line.includes('/**') ? line : comment + line;
      continue;
    }
    const m = line.match(/^    ((?:private|protected|readonly|static|get|set|abstract) )*([A-Za-z_$][\w$]*)[?(:<;]/);
    if (m && !/^    (private|protected|abstract (private|protected))/.test(line) && !m[2].startsWith('_') && !/@(private|internal)/.test(comment))
      found.add(m[2]);
    if (!/^     /.test(line)) comment = '';
  }
  return [...found];
}

const TESTS = new Map(); // file or suite -> text
const unit = (file) => {
  if (!TESTS.has(file)) TESTS.set(file, existsSync(path.join(ROOT, 'tests/unit', file)) ? read('tests/unit', file) : '');
  return TESTS.get(file);
};
const suite = (name) => (existsSync(path.join(ROOT, `tests/server/${name}.test.mjs`)) ? read(`tests/server/${name}.test.mjs`) : '');

describe('docs/guide/node-equivalents.md', () => {
  const named = new Set(rows.flatMap(([node]) => [...node.matchAll(/`([A-Z]\w+\.\w+)`/g)].map((m) => m[1])));

  for (const [name, file, what] of DECLARED)
    it(`every public member of ${what} in ${file} has a row`, () => {
      const all = members(readFileSync(path.join(modules, file), 'utf8'), what);
      assert.ok(all.length >= 3, `only ${all} found`);
      assert.deepEqual(all.filter((member) => !named.has(`${name}.${member}`)), []);
    });

  it('names nothing of Node that is not there', () => {
    const there = new Set();
    for (const [name, file, what] of DECLARED)
      for (const member of members(readFileSync(path.join(modules, file), 'utf8'), what)) there.add(`${name}.${member}`);
    // One level deeper, where the types of options are written out.
    for (const option of ['maxDisconnectionDuration', 'skipMiddlewares']) there.add(`ServerOptions.${option}`);
    assert.deepEqual([...named].filter((name) => !there.has(name)), []);
  });

  it('every call of ours stands in a public header', () => {
    const headers = readdirSync(path.join(ROOT, 'include/sio')).map((file) => read('include/sio', file)).join('\n');
    const options = headers.match(/struct sio_server_options \{[^]*?\n\};/)[0];
    const target = headers.match(/struct sio_target \{[^]*?\n\};/)[0];
    for (const [, ours] of rows) {
      for (const [, name] of ours.matchAll(/`(?:struct )?(sio_\w+)/g)) assert.match(headers, new RegExp(`\\b${name}\\b`), name);
      for (const [, name] of ours.matchAll(/`sio_server_options\.(\w+)/g)) assert.match(options, new RegExp(`\\b${name};`), name);
      for (const [, name] of ours.matchAll(/`T\.(\w+)/g)) assert.match(target, new RegExp(`\\b${name};`), name);
    }
  });

  it('every test named exists, and a row without one says why there is none', () => {
    for (const [node, ours, shown] of rows) {
      if (!shown) assert.match(ours, /^none\b|no object/, `${node}: no test, and no reason`);
      let file = '';
      for (const [, text] of shown.matchAll(/`([^`]+)`/g)) {
        const [, inFile, test] = text.match(/^(?:(\w+\.c):)?(test_\w+)$/) ?? [];
        if (!test) continue;
        file = inFile ?? file;
        assert.match(unit(file), new RegExp(`\\bstatic void ${test}\\(`), `${node}: ${file}:${test}`);
      }
      for (const [, name, title] of shown.matchAll(/`([\w-]+)` "([^"]+)"/g))
        assert.ok(suite(name).includes(title), `${node}: ${name} "${title}"`);
      assert.ok(!shown || /`/.test(shown), node);
    }
  });
});
