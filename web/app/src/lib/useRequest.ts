// useRequest.ts -- requests of whoever is signed in, and the connection after a new sign-in.
//
// The clock of this machine says when a token ends, but the server judges it.  A request that it
// refuses for its token waits for the next sign-in, as one without a token does, and is sent again.
import { RealtimeError, type Request, useConnection, useRequest as useClientRequest } from '@skybuild/realtime-react';
import { useEffect, useMemo } from 'react';
import { getToken, refuse, useSession } from './session';

export function asSignedIn(request: Request): Request {
  return async (method, path, data, options) => {
    for (;;) {
      const token = await getToken();
      try {
        return await request(method, path, data, options);
      } catch (error) {
        const isTokens = error instanceof RealtimeError && error.status === 401;
        if (!isTokens || token === null) throw error;
        refuse(token);
        if ((await getToken()) === null) throw error; // signed out
      }
    }
  };
}

export function useRequest(): Request {
  const request = useClientRequest();
  return useMemo(() => asSignedIn(request), [request]);
}

/** Once a page: hears from the connection that a token is refused, and connects with the next one. */
export function useTokenOfConnection(): void {
  const { error, reconnect } = useConnection();
  const token = useSession().session?.token;
  useEffect(() => {
    if (token && error?.code.startsWith('token_')) refuse(token);
  }, [error]); // a new token is none that was refused
  useEffect(() => reconnect(), [token]);
}
