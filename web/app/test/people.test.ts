// When something was, in short.
import { expect, it } from 'vitest';
import { when } from '../src/lib/people';

it('a date of another year says which', () => {
  const now = Date.parse('2026-11-28T12:00:00Z');
  expect(when('2026-11-28T11:59:30Z', now)).toBe('just now');
  expect(when('2026-11-03T12:00:00Z', now)).not.toMatch(/2026/);
  expect(when('2025-11-03T12:00:00Z', now)).toMatch(/2025/);
});
