import { fileURLToPath } from 'node:url';
import react from '@vitejs/plugin-react';
import { defineConfig } from 'vite';
import { precompress } from './precompress.ts';
import { shell } from './shell/plugin.ts';

export default defineConfig({
  plugins: [react(), shell(), precompress()],
  resolve: {
    alias: {
      // Radix' dialogs lock scrolling with it. It writes <style> elements, which our policy forbids.
      'react-style-singleton': fileURLToPath(new URL('src/style-singleton.ts', import.meta.url)),
    },
  },
  build: { outDir: '../dist/web', emptyOutDir: true },
});
