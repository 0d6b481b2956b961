import { fileURLToPath } from 'node:url';
import react from '@vitejs/plugin-react';
import { defineConfig } from 'vite';

const at = (path: string) => fileURLToPath(new URL(path, import.meta.url));
// `npm run dev` shows the sources beside a running server.
const server = process.env.SKYBUILD_URL ?? 'http://127.0.0.1:8000';

export default defineConfig({
  plugins: [react()],
  resolve: { alias: { '@skybuild/realtime-react': at('../packages/react/src/index.ts') } },
  build: { outDir: at('../../build/web/page'), emptyOutDir: true, target: 'es2022', reportCompressedSize: false, chunkSizeWarningLimit: 1000 },
  server: { proxy: { '/api': server, '/docs': server, '/metrics': server, '/ws': server, '/socket.io': { target: server, ws: true } } },
});
