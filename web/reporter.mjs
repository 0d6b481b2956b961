// Reporter for Vitest: failures in full, then the line of counts that scripts/test-all adds up
// (tests/server/lib/reporter.mjs is the same for node --test).
import path from 'node:path';

const fileOf = (module) => path.relative(process.cwd(), module.moduleId);

export default class Reporter {
  onTestRunEnd(modules, unhandled) {
    const n = { passed: 0, failed: 0, skipped: 0 };
    const tell = (what, errors) => console.log(`FAIL ${what}\n     ${errors.map((e) => `${e.stack ?? e.message}${e.diff ? `\n${e.diff}` : ''}`).join('\n').split('\n').slice(0, 40).join('\n     ')}`);
    for (const module of modules) {
      // An error outside of the tests: the file did not load, or a hook of its own failed.
      const own = [module, ...module.children.allSuites()].flatMap((suite) => suite.errors());
      if (own.length) {
        n.failed++;
        tell(fileOf(module), own);
      }
      for (const test of module.children.allTests()) {
        const { state, errors } = test.result();
        if (state === 'passed') n.passed++;
        else if (state === 'failed') {
          n.failed++;
          tell(`${fileOf(module)} > ${test.fullName}`, errors);
        } else {
          n.skipped++;
          console.log(`SKIP ${test.fullName}: ${test.result().note ?? ''}`);
        }
        if (process.env.TEST_VERBOSE) console.log(`${state} ${test.fullName}`);
      }
    }
    if (unhandled.length) {
      n.failed += unhandled.length;
      tell('an error that no test has caught', unhandled);
    }
    console.log(`tests: ${n.passed} passed, ${n.failed} failed, ${n.skipped} skipped`);
  }
}
