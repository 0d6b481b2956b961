// error.ts -- what can go wrong, in one type: a refusal of the server (its stable `code`), a
// time-out, or no connection.
//
// SPDX-License-Identifier: Apache-2.0

export class RealtimeError extends Error {
  /** The server's code, or `timeout`, `not_connected`, `unreachable`, `disconnected`, `token_unavailable`. */
  readonly code: string;
  /** HTTP status of an answer to a request. */
  readonly status?: number;
  /** With 409 `conflict`: the row as it is now. */
  readonly current?: unknown;
  /** The member that does not fit (422). */
  readonly field?: string;

  constructor(message: string, code: string, more: { status?: number; current?: unknown; field?: string } = {}) {
    super(message);
    this.name = 'RealtimeError';
    this.code = code;
    Object.assign(this, more);
  }
}

/** Is it a write that was based on an outdated version?  Then `error.current` is the row as it is. */
export const isConflict = (error: unknown): error is RealtimeError => error instanceof RealtimeError && error.status === 409 && error.code === 'conflict';

/** Did the request not reach the server, as far as one can tell?  Then it may be sent again, with the same key. */
export const isUnreachable = (error: unknown): error is RealtimeError => error instanceof RealtimeError && error.code === 'unreachable';

/** Is the token no longer good, or was there none?  The same for a request and for the connection. */
export const isUnauthorized = (error: unknown): error is RealtimeError => error instanceof RealtimeError && /^token_(missing|invalid|expired)$/.test(error.code);

/** The error of an application/problem+json answer. */
export function problemOf(status: number, body: unknown): RealtimeError {
  const problem = (body && typeof body === 'object' ? body : {}) as Record<string, unknown>;
  const text = problem.detail ?? problem.title ?? `the server answered ${status}`;
  return new RealtimeError(String(text), String(problem.code ?? 'http_error'), {
    status,
    ...('current' in problem && { current: problem.current }),
    ...('field' in problem && { field: String(problem.field) }),
  });
}
