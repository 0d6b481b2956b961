// What the server adds to payloads, looked at and taken off, so that the rest can be
// compared as a whole.
import assert from 'node:assert/strict';

const without = (data, key) => {
  const { [key]: value, ...rest } = data;
  assert.ok(Number.isSafeInteger(value) && value > 0, `${key}: ${value}`);
  return rest;
};

// A durable event of a project has its number as seq, a notification its id.
export const unnumbered = (data) => without(data, 'seq');
export const unmarked = (data) => without(data, 'id');
