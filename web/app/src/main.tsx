// main.tsx -- what stands around the pages: colours, the connection, the way to a page.
import './lib/early'; // before anything else
import '@fontsource-variable/inter';
import '@mantine/core/styles.css';
import '@mantine/notifications/styles.css';
import './styles.css';
import { createTheme, MantineProvider } from '@mantine/core';
import { Notifications } from '@mantine/notifications';
import { RealtimeError, RealtimeProvider } from '@skybuild/realtime-react';
import { QueryClient, QueryClientProvider } from '@tanstack/react-query';
import { lazy, type ReactNode, StrictMode, Suspense, useEffect, useState } from 'react';
import { createRoot } from 'react-dom/client';
import { Redirect, Route, Switch } from 'wouter';
import { parseExact } from './lib/decimal';
import { lazily, loadAhead } from './lib/lazily';
import { getToken, useSession } from './lib/session';
import { useTokenOfConnection } from './lib/useRequest';
import { Boundary } from './parts/Boundary';

const Project = lazily(() => import('./pages/Project').then((m) => m.Project));
const SignIn = lazily(() => import('./pages/SignIn').then((m) => m.SignIn));
const SignInAgain = lazily(() => import('./pages/SignIn').then((m) => m.SignInAgain));
const Projects = lazily(() => import('./pages/Projects').then((m) => m.Projects));
const Ops = lazy(() => import('./pages/Ops').then((m) => ({ default: m.Ops })));

const close = { closeButtonProps: { 'aria-label': 'Close' } };
const components = { Modal: { defaultProps: close }, Drawer: { defaultProps: close }, Notification: { defaultProps: close } };
const theme = createTheme({ fontFamily: "'Inter Variable', system-ui, sans-serif", primaryColor: 'blue', primaryShade: 8, defaultRadius: 'sm', cursorType: 'pointer', components });
// A refusal stays one when it is asked for again; a network that is away comes back.
const isForGood = (error: Error) => error instanceof RealtimeError && error.status !== undefined && error.status < 500;
const newQueries = () => new QueryClient({ defaultOptions: { queries: { retry: (n, error) => !isForGood(error) && n < 5, refetchOnWindowFocus: false, networkMode: 'always' } } });

/** What was read was read as somebody: whoever signs in next begins with nothing. */
function Queries({ children }: { children: ReactNode }) {
  const [queries] = useState(newQueries);
  return <QueryClientProvider client={queries}>{children}</QueryClientProvider>;
}

function TokenOfConnection() {
  useTokenOfConnection();
  return null;
}

function Workspace() {
  const { session, isExpired } = useSession();
  const isSignedIn = session !== null;
  useEffect(() => {
    if (isSignedIn) void loadAhead();
  }, [isSignedIn]);
  if (!session) return <SignIn />;
  return (
    <RealtimeProvider url="" getToken={getToken} session={session.userId} parse={parseExact}>
      <Queries key={session.userId}>
        <Switch>
          <Route path="/">{() => <Projects />}</Route>
          <Route path="/p/:id">{({ id }) => <Redirect to={`/p/${id}/boq`} replace />}</Route>
          <Route path="/p/:id/:tab">{({ id, tab }) => <Project id={id} tab={tab} userId={session.userId} />}</Route>
          <Route>
            <Redirect to="/" replace />
          </Route>
        </Switch>
      </Queries>
      <TokenOfConnection />
      {isExpired && (
        <Suspense>
          <SignInAgain />
        </Suspense>
      )}
    </RealtimeProvider>
  );
}

createRoot(document.getElementById('root')!).render(
  <StrictMode>
    <MantineProvider theme={theme} defaultColorScheme="auto">
      <Notifications position="bottom-right" />
      <Boundary>
        <Suspense fallback={null}>
          <Switch>
            <Route path="/ops">
              <Ops />
            </Route>
            <Route>
              <Workspace />
            </Route>
          </Switch>
        </Suspense>
      </Boundary>
    </MantineProvider>
  </StrictMode>,
);
