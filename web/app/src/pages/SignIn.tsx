// SignIn.tsx -- name and password, or one of the people of the demo project.
import { Anchor, Button, Group, Modal, Paper, PasswordInput, Stack, Text, TextInput, Title } from '@mantine/core';
import { type FormEvent, useState } from 'react';
import { signIn, signOut, useSession } from '../lib/session';

// `skybuild demo` makes them; a server without demo data answers that the password is wrong.
const DEMO = [
  { id: 'anna', name: 'Anna', what: 'quantity surveyor' },
  { id: 'ben', name: 'Ben', what: 'site manager' },
  { id: 'mara', name: 'Mara', what: 'structural engineer' },
  { id: 'joao', name: 'João', what: 'may comment' },
  { id: 'priya', name: 'Priya', what: 'may look' },
];

function useSignIn() {
  const [error, setError] = useState('');
  const [busy, setBusy] = useState('');
  const go = async (user: string, password: string) => {
    setBusy(user);
    setError('');
    await signIn(user, password).catch((e: Error) => setError(e.message));
    setBusy('');
  };
  return { error, busy, go };
}

export function SignIn() {
  const { error, busy, go } = useSignIn();
  const [user, setUser] = useState('');
  const [password, setPassword] = useState('');
  const submit = (e: FormEvent) => {
    e.preventDefault();
    void go(user.trim(), password);
  };
  return (
    <main className="sign-in">
      <Paper withBorder p="xl" radius="md" w="100%" maw={420}>
        <Title order={1} size="h3" mb={4}>
          SkyBuild
        </Title>
        <Text size="sm" c="dimmed" mb="lg">
          Bills of quantities, tasks and comments, with everybody in the room.
        </Text>
        <form onSubmit={submit}>
          <Stack gap="sm">
            <TextInput label="User" autoComplete="username" required value={user} onChange={(e) => setUser(e.currentTarget.value)} />
            <PasswordInput label="Password" autoComplete="current-password" required value={password} onChange={(e) => setPassword(e.currentTarget.value)} />
            <Button type="submit" loading={busy === user.trim() && busy !== ''}>
              Sign in
            </Button>
          </Stack>
        </form>
        <Text size="sm" fw={600} mt="lg" mb={6}>
          Or look around as
        </Text>
        <Group gap="xs">
          {DEMO.map((d) => (
            <Button key={d.id} size="xs" variant="default" loading={busy === d.id} title={d.what} onClick={() => void go(d.id, `demo-${d.id}`)}>
              {d.name}
            </Button>
          ))}
        </Group>
        <Text size="xs" c="dimmed" mt={6}>
          Open a second window as somebody else, and change a quantity.
        </Text>
        {error && (
          <Text size="sm" c="var(--bad)" mt="sm" role="alert">
            {error}
          </Text>
        )}
        <Group gap="md" mt="lg">
          <Anchor size="xs" href="/docs">
            API
          </Anchor>
          <Anchor size="xs" href="/ops">
            Operations
          </Anchor>
        </Group>
      </Paper>
    </main>
  );
}

/** The token has ended: the same person again, with the page as it is behind. */
export function SignInAgain() {
  const { session, isExpired } = useSession();
  const { error, busy, go } = useSignIn();
  const [password, setPassword] = useState('');
  if (!session || !isExpired) return null;
  const submit = (e: FormEvent) => {
    e.preventDefault();
    void go(session.userId, password).then(() => setPassword(''));
  };
  return (
    <Modal opened onClose={signOut} title="Your session has ended" centered closeOnClickOutside={false} closeOnEscape={false} closeButtonProps={{ 'aria-label': 'Sign out' }}>
      <form onSubmit={submit}>
        <Stack>
          <Text size="sm">What you have typed is kept. Sign in again as {session.userId} to go on.</Text>
          <PasswordInput data-autofocus label="Password" autoComplete="current-password" value={password} onChange={(e) => setPassword(e.currentTarget.value)} error={error || null} />
          <Button type="submit" loading={busy !== ''}>
            Go on
          </Button>
        </Stack>
      </form>
    </Modal>
  );
}
