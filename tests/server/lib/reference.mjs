// Node's own Socket.IO server with the behaviour of echo-server.c.  The protocol
// tests run against it too (TARGET=reference), so that a wrong test shows.
import { createServer } from 'node:http';
import { Server } from 'socket.io';

const ms = (name, fallback) => Number(process.env[name] ?? fallback);
const http = createServer();
const io = new Server(http, {
  pingInterval: ms('PING_INTERVAL', 25000),
  pingTimeout: ms('PING_TIMEOUT', 20000),
  connectTimeout: ms('CONNECT_TIMEOUT', 45000),
  upgradeTimeout: ms('UPGRADE_TIMEOUT', 10000),
  maxHttpBufferSize: ms('MAX_PAYLOAD', 1000000),
  cleanupEmptyChildNamespaces: true,
});
const children = io.of(/^\/child-[0-9a-z]+$/);

children.use((socket, next) => {
  const { wait } = socket.handshake.auth;
  if (wait) setTimeout(next, wait);
  else next();
});
const refuse = (socket, next) => {
  if (!socket.handshake.auth.refuse) return next();
  const error = new Error('refused as asked');
  error.data = { code: 'asked' };
  next(error);
};
io.use(refuse);
children.use(refuse);
const serve = (socket) => {
  socket.emit('auth', socket.handshake.auth);
  socket.on('message', (...args) => socket.emit('message-back', ...args));
  socket.on('message-with-ack', (...args) => args.pop()(...args));
  socket.on('room:join', (room, done) => (socket.join(room), done?.()));
  socket.on('room:leave', (room, done) => (socket.leave(room), done?.()));
  socket.on('room:send', (room, ...args) => socket.to(room).emit('room:message', ...args));
  socket.on('burst', (n) => {
    for (let i = 0; i < n; i++) socket.emit('tick', i);
  });
  socket.on('leave-me', () => socket.disconnect(false));
  socket.on('close-me', () => socket.disconnect(true));
};
io.on('connection', serve);
children.on('connection', serve);
http.listen(Number(process.env.PORT ?? 0), '127.0.0.1', () => console.log(`Listening on http://127.0.0.1:${http.address().port}`));
process.on('SIGTERM', () => io.close(() => process.exit(0)));
