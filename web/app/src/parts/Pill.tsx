// Pill.tsx -- one word on the connection: live, reconnecting, offline with edits kept, caught up.
import { UnstyledButton } from '@mantine/core';
import { useConnection, useProject } from '@skybuild/realtime-react';
import { useEffect, useState } from 'react';

const CAUGHT_UP_MS = 6000;
const OFFLINE_AFTER_MS = 8000; // so long it is merely reconnecting

export function Pill({ kept }: { kept: number }) {
  const { status, since, error, reconnect } = useConnection();
  const { joined, isCatchingUp, caughtUp } = useProject();
  const [now, setNow] = useState(Date.now);
  const [isOnline, setOnline] = useState(() => navigator.onLine);
  useEffect(() => {
    const change = () => setOnline(navigator.onLine);
    addEventListener('online', change);
    addEventListener('offline', change);
    return () => (removeEventListener('online', change), removeEventListener('offline', change));
  }, []);
  const isLive = status === 'connected' && joined && !isCatchingUp;
  const isFresh = caughtUp !== null && now - caughtUp.at < CAUGHT_UP_MS;
  useEffect(() => {
    setNow(Date.now());
    if (isLive && (!caughtUp || Date.now() - caughtUp.at > CAUGHT_UP_MS)) return;
    const timer = setInterval(() => setNow(Date.now()), 500);
    return () => clearInterval(timer);
  }, [isLive, isFresh, caughtUp]);

  const seconds = Math.max(0, Math.round((now - since) / 1000));
  const edits = kept ? `, ${kept} edit${kept > 1 ? 's' : ''} kept` : '';
  let state = 'live';
  let text = 'Live';
  let said = 'Live'; // to a screen reader: the state, without what counts up each second
  if (status === 'disconnected') [state, text, said] = ['offline', `${error?.message ?? 'Disconnected'}${edits}. Try again`, 'Disconnected'];
  else if (status === 'initial' || (status === 'connecting' && !edits)) [state, text, said] = ['waiting', 'Connecting', 'Connecting'];
  else if (status !== 'connected' && (!isOnline || seconds * 1000 >= OFFLINE_AFTER_MS)) [state, text, said] = ['offline', `Offline${edits}`, 'Offline'];
  else if (status !== 'connected') [state, text, said] = ['waiting', `Reconnecting${seconds ? ` ${seconds} s` : ''}${edits}`, 'Reconnecting'];
  else if (!isLive) [state, text, said] = ['waiting', isCatchingUp ? 'Catching up' : 'Joining', 'Connecting'];
  else if (isFresh && caughtUp.changes > 0) [state, text] = ['caught-up', `Caught up: ${caughtUp.changes} change${caughtUp.changes > 1 ? 's' : ''}`];
  else if (kept) [state, text] = ['waiting', `Saving ${kept}`];

  return (
    <>
      <span className="pill" data-state={state}>
        {status === 'disconnected' ? <UnstyledButton fz="inherit" onClick={reconnect}>{text}</UnstyledButton> : text}
      </span>
      <span role="status" className="visually-hidden">
        {said}
      </span>
    </>
  );
}
