// @vitest-environment jsdom
// A token that the server refuses, whatever the clock here says.
import { RealtimeError, type Request } from '@skybuild/realtime-react';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { getToken, refuse, signIn, signOut } from '../src/lib/session';
import { asSignedIn } from '../src/lib/useRequest';

const tokenOf = (name: string) => `${name}.${btoa(JSON.stringify({ exp: Date.now() / 1000 + 3600 }))}.x`;
const signInWith = (token: string) => {
  vi.stubGlobal('fetch', async () => Response.json({ access_token: token }));
  return signIn('anna', 'secret');
};
const REFUSAL = new RealtimeError('Authentication required', 'token_invalid', { status: 401 });

describe('a token that the server refuses', () => {
  const [old, next] = [tokenOf('old'), tokenOf('new')];
  const used: (string | null)[] = [];
  const request = asSignedIn((async () => {
    used.push(await getToken());
    if (used.at(-1) === old) throw REFUSAL;
    return 'read';
  }) as Request);

  beforeEach(async () => {
    used.length = 0;
    await signInWith(old);
  });

  it('is asked for anew, and the request is sent again', async () => {
    const answer = request('GET', '/api/projects');
    await vi.waitFor(() => expect(used).toEqual([old]));
    await signInWith(next);
    expect(await answer).toBe('read');
    expect(used).toEqual([old, next]);
  });

  it('is no reason to ask again when the next one is there already', async () => {
    await signInWith(next);
    refuse(old);
    expect(await getToken()).toBe(next);
  });

  it('who signs out instead gets the refusal', async () => {
    const answer = request('GET', '/api/projects');
    await vi.waitFor(() => expect(used).toEqual([old]));
    signOut();
    await expect(answer).rejects.toBe(REFUSAL);
  });
});
