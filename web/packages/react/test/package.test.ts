// What is handed out: its size, that it is whole, and that every example of its documents
// fits its types.
// @vitest-environment node
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';
import ts from 'typescript';
import { describe, expect, it } from 'vitest';

const HERE = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const ROOT = path.resolve(HERE, '../../..');
const LIMIT_BYTES = 10_000;

describe('the package', () => {
  it('is under 10 kB gzipped beside React and socket.io-client', async () => {
    const { outputFiles } = await build({
      entryPoints: [path.join(HERE, 'src/index.ts')],
      bundle: true,
      minify: true,
      format: 'esm',
      target: 'es2022',
      jsx: 'automatic',
      external: ['react', 'react/jsx-runtime', 'socket.io-client'],
      write: false,
    });
    const size = gzipSync(outputFiles[0]!.contents, { level: 9 }).length;
    console.log(`@skybuild/realtime-react: ${size} bytes gzipped (limit ${LIMIT_BYTES})`);
    expect(size).toBeLessThan(LIMIT_BYTES);
  });

  it('is packed with its code and types, and nothing else of ours; Node loads it', () => {
    rmSync(path.join(HERE, 'dist'), { recursive: true, force: true });
    execFileSync('npx', ['tsc', '-p', 'tsconfig.build.json'], { cwd: HERE });
    const [packed] = JSON.parse(execFileSync('npm', ['pack', '--dry-run', '--json', '--ignore-scripts'], { cwd: HERE, encoding: 'utf8' })) as [{ files: { path: string }[] }];
    const files = packed.files.map((f) => f.path);
    expect(files.filter((f) => !f.startsWith('dist/')).sort()).toEqual(['README.md', 'package.json']);
    for (const source of readdirSync(path.join(HERE, 'src')).map((f) => f.replace(/\.tsx?$/, '')))
      for (const made of [`dist/${source}.js`, `dist/${source}.d.ts`]) expect(files).toContain(made);
    expect(JSON.parse(readFileSync(path.join(HERE, 'package.json'), 'utf8'))).not.toHaveProperty('dependencies');
    // As a bundler or Node finds it: by its name, through the link of the npm workspace.
    const names = execFileSync(process.execPath, ['--input-type=module', '-e', "console.log(Object.keys(await import('@skybuild/realtime-react')).join())"], { cwd: HERE, encoding: 'utf8' });
    expect(names).toContain('RealtimeProvider');
    expect(names).toContain('useCursors');
  });
});

const DOCUMENTS = ['web/packages/react/README.md', 'docs/guide/react.md'];

/** The ```ts and ```tsx blocks of the documents, each a file of its own: [name, code]. */
function examples(): [string, string][] {
  return DOCUMENTS.flatMap((file) => {
    const text = readFileSync(path.join(ROOT, file), 'utf8');
    const blocks = [...text.matchAll(/^```(tsx?)\n([\s\S]*?)^```$/gm)];
    expect(blocks.length, file).toBeGreaterThan(0);
    return blocks.map((m, i): [string, string] => [path.join(HERE, `test/${path.basename(file, '.md')}-${i}.${m[1]}`), `${m[2]}\nexport {};\n`]);
  });
}

it('every example of the README and the guide fits the types', () => {
  const sources = new Map(examples());
  const { config } = ts.readConfigFile(path.join(HERE, 'tsconfig.json'), ts.sys.readFile);
  const { options } = ts.parseJsonConfigFileContent({ ...config, include: [] }, ts.sys, HERE);
  options.noUnusedLocals = false;
  const host = ts.createCompilerHost(options);
  const { getSourceFile, fileExists, readFile } = host;
  host.fileExists = (name) => sources.has(name) || fileExists.call(host, name);
  host.readFile = (name) => sources.get(name) ?? readFile.call(host, name);
  host.getSourceFile = (name, ...rest) => (sources.has(name) ? ts.createSourceFile(name, sources.get(name)!, ts.ScriptTarget.ES2022) : getSourceFile.call(host, name, ...rest));
  const program = ts.createProgram([...sources.keys()], options, host);
  const told = ts.getPreEmitDiagnostics(program).map((d) => {
    const line = d.file && d.start !== undefined ? d.file.getLineAndCharacterOfPosition(d.start).line + 1 : '';
    return `${d.file && path.basename(d.file.fileName)}:${line} ${ts.flattenDiagnosticMessageText(d.messageText, ' ')}`;
  });
  expect(told).toEqual([]);
});

it('the getToken of the README signs in once, and anew when it must or when signing in has failed', async () => {
  const app = examples().map(([, code]) => code).find((code) => code.includes('function getToken'))!;
  const source = app.slice(app.indexOf('const USER'), app.indexOf('function Room'));
  const answers = [{ ok: false, status: 429 }, { ok: true, token: 'one' }, { ok: true, token: 'two' }];
  const fetch = async () => {
    const { ok, status = 200, token } = answers.shift()!;
    return { ok, status, json: async () => ({ access_token: token }) };
  };
  const getToken = new Function('fetch', `${ts.transpile(source, { target: ts.ScriptTarget.ES2022 })}; return getToken;`)(fetch) as (about: { force: boolean }) => Promise<string>;
  await expect(getToken({ force: false })).rejects.toThrow('429');
  expect(await Promise.all([getToken({ force: false }), getToken({ force: false })])).toEqual(['one', 'one']);
  expect(await getToken({ force: true })).toBe('two');
  expect(await getToken({ force: false })).toBe('two');
});
