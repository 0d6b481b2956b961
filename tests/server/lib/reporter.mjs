// Reporter for node --test: failures in full, then one line of counts, which
// scripts/test-all adds up.  TEST_VERBOSE=1 names each test.
export default async function* reporter(source) {
  let passed = 0, failed = 0, skipped = 0;
  const path = [];
  for await (const { type, data } of source) {
    if (type === 'test:start') path[data.nesting] = data.name;
    if (type === 'test:stdout' || type === 'test:stderr') yield data.message;
    // What a test has to say; the runner's own summary has nesting 0.
    if (type === 'test:diagnostic' && data.nesting > 0) yield `     ${data.message}\n`;
    if (type !== 'test:pass' && type !== 'test:fail') continue;
    const isSkipped = data.skip !== undefined || data.todo !== undefined;
    // A suite fails for its tests, which are told, or for what stands around them; one that is skipped has none to tell it.
    if (data.details?.type === 'suite' && !isSkipped && (type === 'test:pass' || data.details.error?.failureType === 'subtestsFailed')) continue;
    // With --test, older versions of Node count the file itself as a test too.
    if (data.nesting === 0 && /\.mjs$/.test(data.name) && type === 'test:pass') continue;
    const name = [...path.slice(0, data.nesting), data.name].join(' > ');
    if (isSkipped) {
      skipped++;
      yield `SKIP ${name}: ${data.skip ?? data.todo}\n`;
    } else if (type === 'test:pass') {
      passed++;
      if (process.env.TEST_VERBOSE) yield `ok   ${name} (${Math.round(data.details.duration_ms)} ms)\n`;
    } else {
      failed++;
      const error = data.details.error;
      const cause = error?.cause ?? error;
      yield `FAIL ${name}\n     ${String(cause?.stack ?? cause?.message ?? cause).split('\n').slice(0, 30).join('\n     ')}\n`;
    }
  }
  yield `tests: ${passed} passed, ${failed} failed, ${skipped} skipped\n`;
}
